"""What kind of table a file is: by its first bytes, and where these do not tell by its name."""

import csv
import io
import os
import re
from itertools import islice
from pathlib import Path

from engine.dataset.convert.header_line import below, line_of_names
from engine.dataset.convert.source import Format, Source, reading
from engine.dataset.jsonl.lines import COMPRESSED
from engine.dataset.jsonl.parse import RowError, parse_object
from engine.errors import UserError
from engine.files import open_given
from engine.i18n import _

_DELIMITERS = (",", ";", "\t", "|")
_BEGIN = 1 << 20
"""Bytes that are looked at, and those by which a delimiter is chosen."""
_BEGIN_OF_RECORDS = 1 << 16
_TRIED = 20
"""Records by which a delimiter is chosen."""
_OF_A_MARK = 16
"""Bytes at the beginning among which a binary format has a zero, and a text none (after UTF-16 is read)."""
_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_SEPARATOR_LINE = re.compile(r"sep=([,;\t|])\r?\n", re.IGNORECASE)
"""The first line by which Excel is told what stands between cells."""
_SPACED_QUOTE = r'(?:^|%s) +"'
_MESSAGE = re.compile(
    r"\u200e?\[?\d{1,4}[/.-]\d{1,2}[/.-]\d{2,4},? \d{1,2}:\d{2}(:\d{2})?"
    r"( ?[AaPp]\.?[Mm]\.?)?(\]| -) [^\n]+?: "
)
"""How a message of WhatsApp begins."""
_GZIP = b"\x1f\x8b"
_MOST_OF_CHARACTER = 3
"""Bytes of a character that may be cut at the end of what is looked at."""
_UTF8_CHARACTER = re.compile(rb"[\xc3-\xf4][\x80-\xbf]+")
_UNASSIGNED = re.compile(rb"[\x81\x8d\x8f\x90\x9d\x00]")
"""Bytes that stand for nothing in Windows-1252."""
_OBJECT = re.compile(rb'\{\s*["}]')
_ARRAY = re.compile(rb'\[\s*(\{\s*["}]|\])')


def recognise(path: Path, has_header: bool = True, skip_lines: int = 0) -> Source:
    """Return what kind of file `path` is.

    Args:
        path: of the file.
        has_header: whether the first line of a delimited text names its columns.
        skip_lines: first lines of a delimited text that are not part of it, such as titles.

    Raises:
        UserError: there is none, it cannot be read, or is of no kind that can be imported.
    """
    _refuse_no_file(path)
    with reading(path):
        with open_given(path) as file:
            is_gzip = file.read(2) == _GZIP
        with Source(path, "lines", is_gzip=is_gzip).open() as file:
            begin = file.read(_BEGIN)
    if not begin.removeprefix(_MARK).strip():
        raise UserError(_("{path} is empty").format(path=path), _("name a file with rows"))
    if begin.startswith(b"PAR1") and not is_gzip:
        return Source(path, "parquet")
    encoding = _encoding(begin)
    if encoding == "utf-16":
        begin = begin[: len(begin) // 2 * 2].decode("utf-16", "replace").encode()
    _refuse_no_text(path, begin)
    name = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    kind, delimiter = _kind(path, begin.removeprefix(_MARK), name.suffix.lower(), skip_lines)
    if kind != "delimited":
        _refuse_header(path, has_header, skip_lines)
        return Source(path, kind, delimiter, is_gzip, encoding)
    text = begin.removeprefix(_MARK).decode("utf-8", "replace")
    _refuse_chat(path, text)
    skipped = max(skip_lines, 1 if _SEPARATOR_LINE.match(text) else 0)
    text = below(text, skipped)
    spaced = re.search(_SPACED_QUOTE % re.escape(delimiter), text, re.MULTILINE)
    at = line_of_names(text, delimiter) if has_header else 0
    at += skipped if at else 0
    return Source(path, kind, delimiter, is_gzip, encoding, skipped, bool(spaced), has_header, skip_lines, at)


def _encoding(begin: bytes) -> str:
    """Return how a text is written: as its mark says, UTF-8, or where it is not that as Windows-1252."""
    if begin.startswith(_UTF16_MARKS):
        return "utf-16"
    try:
        begin[: -_MOST_OF_CHARACTER if len(begin) == _BEGIN else None].decode("utf-8")
    except UnicodeDecodeError:
        # Where any character is whole UTF-8, the rest is damaged and not of another encoding.
        if not _UTF8_CHARACTER.search(begin) and not _UNASSIGNED.search(begin):
            return "cp1252"
    return "utf-8-sig"


def _refuse_header(path: Path, has_header: bool, skip_lines: int) -> None:
    if not has_header or skip_lines:
        raise UserError(
            _("{path} is no table with columns in order: its rows name their fields").format(path=path),
            _("leave {option} out").format(option="--skip-lines" if has_header else "--no-header"),
        )


def _refuse_chat(path: Path, text: str) -> None:
    if _MESSAGE.match(text):
        raise UserError(
            _("{path} is an exported chat, not a table: who asks in it and who answers is not known").format(
                path=path
            ),
            _('write questions with their answers as lines {"prompt": ..., "completion": ...}'),
        )


def _refuse_no_file(path: Path) -> None:
    if os.path.isdir(path):
        raise UserError(_("{path} is a folder").format(path=path), _("name a file in it"))
    if not os.path.exists(path):  # also takes a name that no file can have
        raise UserError(_("There is no file {path}").format(path=path), _("name one that is there"))
    if not os.path.isfile(path):
        raise UserError(_("{path} is no plain file").format(path=path), _("write its rows to a file"))


def _refuse_no_text(path: Path, begin: bytes) -> None:
    program = next((program for magic, program in COMPRESSED.items() if begin.startswith(magic)), "")
    if program == "zip":
        problem = _("{path} is a zip archive or an Excel file")
        fix = _("unpack it, or save the sheet as CSV UTF-8")
    elif program:
        problem, fix = _("{path} is compressed with {program}"), _("unpack it")
    elif begin.startswith(b"PAR1"):
        problem, fix = _("{path} is a Parquet table inside gzip"), _("unpack it")
    elif begin.count(0) * 10 > len(begin) or 0 in begin[:_OF_A_MARK] or begin.startswith(b"%PDF"):
        problem = _("{path} is not text")
        fix = _("name a CSV, TSV, JSON, JSON Lines or Parquet file, text as UTF-8")
    else:
        return
    raise UserError(problem.format(path=path, program=program), fix)


def _kind(path: Path, begin: bytes, suffix: str, skip_lines: int) -> tuple[Format, str]:
    text, is_table = begin.lstrip(), suffix in (".csv", ".tsv", ".tab")
    if _ARRAY.match(text):
        return "array", ""
    if _OBJECT.match(text) and not (is_table and not _is_object(text)):
        _refuse_spread(path, text)
        return "lines", ""
    if suffix in (".jsonl", ".ndjson"):
        return "lines", ""
    if suffix == ".json":
        return "array", ""
    delimiter = _delimiter(begin[:_BEGIN_OF_RECORDS].decode("utf-8", "replace"), suffix, skip_lines)
    if suffix == ".parquet" or not delimiter:
        raise UserError(
            _("The format of {path} is not known").format(path=path),
            _("name a CSV, TSV, JSON, JSON Lines or Parquet file"),
        )
    return "delimited", delimiter


def _is_object(text: bytes) -> bool:
    try:
        return bool(parse_object(text.split(b"\n", 1)[0]))
    except RowError:
        return False


def _refuse_spread(path: Path, text: bytes) -> None:
    if text.split(b"\n", 1)[0].strip() == b"{":
        raise UserError(
            _("{path} begins with an object of several lines").format(path=path),
            _("write one object a line, or one array of objects"),
        )


def _delimiter(begin: str, suffix: str, skip_lines: int) -> str:
    """Return what cells are set apart with; nothing where neither the text nor the name says."""
    if named := _SEPARATOR_LINE.match(begin):
        return named[1]
    begin = below(begin, skip_lines)
    scores = {mark: _score(begin, mark) for mark in _DELIMITERS}
    by_name = {".csv": ",", ".tsv": "\t", ".tab": "\t"}.get(suffix, "")
    best = max(_DELIMITERS, key=lambda mark: (scores[mark], mark == by_name))
    is_alone = scores[best][0] < 2  # no record is like the first, which may be a title
    if titled := [mark for mark in _DELIMITERS if line_of_names(begin, mark, is_alone)]:
        return titled[0]
    return best if scores[best][0] else by_name


def _score(begin: str, mark: str) -> tuple[int, int]:
    """Return how many of the first records have as many cells as the header, and how many cells that is."""
    records = (cells for cells in csv.reader(io.StringIO(begin, newline=""), delimiter=mark) if cells)
    widths = [len(cells) for cells in islice(records, _TRIED)]
    return (widths.count(widths[0]), widths[0]) if widths and widths[0] > 1 else (0, 0)
