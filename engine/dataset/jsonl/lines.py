"""The lines of a data file as bytes, in little memory, and what is odd about the file as a whole."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from engine.dataset.report import Fault
from engine.errors import UserError, system_reason
from engine.files import open_given
from engine.i18n import _, ngettext

MOST_BYTES = 1 << 26
"""Of a line; a longer one is passed over, so that it never is in memory."""
_BEGIN = 1 << 16
"""Bytes that tell a file's format."""
_MARK = b"\xef\xbb\xbf"
"""UTF-8's byte order mark."""
_PART = 1 << 16
"""Bytes that are read at once to count lines."""


@dataclass
class Oddities:
    """What is harmless here and may not be elsewhere, with its first line and how often it was seen."""

    mark: bool = False
    """The file begins with a byte order mark."""
    windows_ends: int = 0
    first_windows_end: int = 0
    blank: int = 0
    first_blank: int = 0
    unended: int = 0
    """The last line, if no line break follows it."""

    def faults(self, file: str) -> Iterator[Fault]:
        """Yield a note on each."""
        if self.mark:
            yield _note(file, 1, "byte_order_mark", _("the file begins with a byte order mark"))
        if self.windows_ends:
            text = ngettext(
                "{count} line ends as on Windows, in CR LF",
                "{count} lines end as on Windows, in CR LF",
                self.windows_ends,
            ).format(count=self.windows_ends)
            yield _note(file, self.first_windows_end, "windows_line_ends", text)
        if self.blank:
            text = ngettext("{count} line is blank", "{count} lines are blank", self.blank)
            text = text.format(count=self.blank)
            yield _note(file, self.first_blank, "blank_lines", text)
        if self.unended:
            yield _note(file, self.unended, "no_last_line_break", _("no line break follows the last line"))


def read_lines(path: Path, odd: Oddities, begin: int = 1) -> Iterator[tuple[int, bytes] | Fault]:
    """Yield number and bytes of every line that is not blank, or a fault where that cannot be a row.

    A file of another format is one fault, and no line of it is read.

    Args:
        path: of the file.
        odd: filled while lines are read.
        begin: number of the first line to read; those before it are passed over quickly.

    Raises:
        UserError: the file cannot be read at all.
    """
    try:
        with open_given(path) as file:
            if fault := _other_format(file, path.name):
                yield fault
                return
            if _skip_lines(file, begin - 1):
                yield from numbered_lines(file, path.name, odd, begin)
    except OSError as error:
        raise UserError(
            _("Cannot read {path}: {reason}").format(path=path, reason=system_reason(error)),
            missing_fix(path),
        ) from None


def missing_fix(path: Path) -> str:
    """Return what to do about a data file that is not there."""
    if path.name == "valid.jsonl" and path.with_name("train.jsonl").exists():
        return _("set a tenth of train.jsonl apart with: mqlora-tui clean")
    return _("put the file there, one JSON object a line, or run: mqlora-tui demo")


def numbered_lines(
    file: IO[bytes], name: str, odd: Oddities, begin: int = 1
) -> Iterator[tuple[int, bytes] | Fault]:
    """Yield number and bytes of every line of an open file that is not blank, or a fault if it is too long.

    Args:
        file: where the first line begins.
        name: of the file, for faults.
        odd: filled while lines are read.
        begin: number of that first line.
    """
    raw = b""
    number = 0
    for number, raw in enumerate(iter(partial(file.readline, MOST_BYTES), b""), start=begin):
        if len(raw) >= MOST_BYTES and not raw.endswith(b"\n"):
            size, raw = _skip_line(file, raw)
            yield _too_long(name, number, size)
            continue
        if number == 1 and raw.startswith(_MARK):
            odd.mark, raw = True, raw.removeprefix(_MARK)
        if raw.endswith(b"\r\n"):
            odd.first_windows_end = odd.first_windows_end or number
            odd.windows_ends += 1
        if raw.isspace() or not raw:
            odd.first_blank = odd.first_blank or number
            odd.blank += 1
        else:
            yield number, raw
    if raw and not raw.endswith(b"\n"):
        odd.unended = number


def _skip_lines(file: IO[bytes], count: int) -> bool:
    """Pass over so many lines, and say whether there were that many; the next line begins where it stops."""
    while count and (part := file.read(_PART)):
        ends = part.count(b"\n")
        if ends < count:
            count -= ends
            continue
        end = -1
        for _line in range(count):
            end = part.index(b"\n", end + 1)
        file.seek(end + 1 - len(part), os.SEEK_CUR)
        count = 0
    return not count


def _skip_line(file: IO[bytes], part: bytes) -> tuple[int, bytes]:
    """Read from a part of a line on to its end; return how many bytes the line has, and its last part."""
    size = len(part)
    while not part.endswith(b"\n") and (more := file.readline(MOST_BYTES)):
        size, part = size + len(more), more
    return size, part


def _too_long(file: str, line: int, size: int) -> Fault:
    return Fault(
        file,
        line,
        None,
        "line_too_long",
        "error",
        _("the line has {size} million bytes").format(size=round(size / 1e6)),
        _("split it: one row a line, as short as the model can read"),
    )


COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}
"""Programs by the first bytes of the files they write."""


OTHER_FORMATS = frozenset({"compressed", "parquet", "utf16", "json_array", "spread_object"})
"""Kinds of faults of a file that is no JSON Lines at all: none of its rows was read."""


def _other_format(file: IO[bytes], name: str) -> Fault | None:
    """Return a fault for a file that is no JSON Lines at all; the file stands at its beginning afterwards."""
    begin = file.read(_BEGIN)
    file.seek(0)
    text = begin.removeprefix(_MARK).lstrip()
    line = 1
    program = next((program for magic, program in COMPRESSED.items() if begin.startswith(magic)), "")
    if program:
        kind, message = "compressed", _("the file is compressed with {program}").format(program=program)
        fix = _("unpack it")
    elif begin.startswith(b"PAR1"):
        kind, message = "parquet", _("the file is a Parquet table")
        fix = _("let it be turned into rows: mqlora-tui import FILE")
    elif begin.startswith((b"\xff\xfe", b"\xfe\xff")):
        kind, message = "utf16", _("the file is UTF-16")
        fix = _("let it be turned into rows: mqlora-tui import FILE")
    elif text.startswith(b"[") and text[1:].lstrip().startswith(b"{") and b"\n[" not in text:
        kind, message = "json_array", _("the file is one JSON array")
        fix = _("let it be turned into rows: mqlora-tui import FILE")
    elif text.split(b"\n", 1)[0].strip() == b"{" and text[1:].lstrip().startswith(b'"'):
        kind, message = "spread_object", _("an object begins on this line and ends on another")
        fix = _("write one object a line")
        line = begin[: begin.index(b"{")].count(b"\n") + 1
    else:
        return None
    return Fault(name, line, None, kind, "error", message, fix)


def _note(file: str, line: int, kind: str, message: str) -> Fault:
    return Fault(file, line, None, kind, "note", message, _("nothing needs to be done"))
