"""The rows of a file that is to be imported: each with its line or number, or why it cannot be read.

All formats but the JSON array are read piece by piece, in little memory.
"""

import csv
import io
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TextIO

from engine.dataset.convert.formats import recognise
from engine.dataset.convert.header_line import reads_like_row, told_apart
from engine.dataset.convert.parquet import read_parquet
from engine.dataset.convert.records import Record, Rejected, refuse_twice
from engine.dataset.convert.source import Source, reading
from engine.dataset.jsonl.lines import MOST_BYTES, Oddities, numbered_lines
from engine.dataset.jsonl.parse import RowError, parse_object
from engine.dataset.report import Fault
from engine.errors import UserError
from engine.i18n import _, ngettext

import msgspec

SAMPLE = 50
"""Rows by which columns and row form are found."""
_MOST_SAMPLE = 1 << 25
"""Characters of those rows, but for the last of them: a table may hold the same long text in each."""
MOST_ARRAY_BYTES = 1 << 28
"""Of a JSON array, which is held in memory as a whole."""


@dataclass(frozen=True)
class Table:
    """A source that was looked into."""

    source: Source
    columns: tuple[str, ...]
    """Of the first rows, without nameless ones."""
    sample: tuple[Record | Rejected, ...]
    """The first rows, `SAMPLE` at most, fewer where they are very long."""

    @property
    def has_all_columns(self) -> bool:
        """Whether no later row can have others."""
        return self.source.format in ("delimited", "parquet")

    @property
    def has_lines(self) -> bool:
        """Whether places are lines of the file rather than numbers of rows."""
        return self.source.format in ("delimited", "lines")

    def where(self, place: int) -> str:
        """Return a place in words."""
        text = _("line {n}") if self.has_lines else _("row {n}")
        return text.format(n=f"{place:,}")


def open_table(path: Path, has_header: bool = True, skip_lines: int = 0) -> Table:
    """Look into a file: its format, its columns and its first rows.

    Args:
        path: of the file.
        has_header: whether the first line of a delimited text names its columns, which else are numbered.
        skip_lines: first lines of a delimited text that are passed over.

    Raises:
        UserError: it cannot be read, is of no known format, or has no rows.
    """
    source = recognise(path, has_header, skip_lines)
    with closing(read_records(source)) as records:
        sample = tuple(_first(records))
    if not sample:
        raise UserError(_("{path} has no rows").format(path=path), _("name a file with rows"))
    names = dict.fromkeys(name for item in sample if isinstance(item, Record) for name in item.value if name)
    return Table(source, tuple(names), sample)


def _first(records: Iterator[Record | Rejected]) -> Iterator[Record | Rejected]:
    held = 0
    for item in islice(records, SAMPLE):
        yield item
        held += _characters(item.value) if isinstance(item, Record) else 0
        if held > _MOST_SAMPLE:
            return


def _characters(value: object) -> int:
    """Return how long the texts in a value are together."""
    if isinstance(value, dict):
        return sum(map(_characters, value.values()))
    if isinstance(value, list):
        return sum(map(_characters, value))
    return len(value) if isinstance(value, (str, bytes)) else 0


def read_records(source: Source) -> Generator[Record | Rejected, None, None]:
    """Yield every row of a source that is not blank.

    Raises:
        UserError: it cannot be read as a whole.
    """
    readers = {"delimited": _delimited, "array": _array, "lines": _json_lines, "parquet": read_parquet}
    with reading(source.path):
        yield from readers[source.format](source)


def _delimited(source: Source) -> Iterator[Record | Rejected]:
    csv.field_size_limit(MOST_BYTES)
    errors = "surrogateescape" if source.encoding == "utf-8-sig" else "strict"
    with io.TextIOWrapper(source.open(), source.encoding, errors=errors, newline="") as text:
        lines = islice(_bounded(text, source.path), source.skipped_lines, None)
        rows = csv.reader(
            lines, delimiter=source.delimiter, strict=True, skipinitialspace=source.has_spaced_quotes
        )
        names: list[str] = []
        while True:
            begin = rows.line_num + source.skipped_lines + 1
            try:
                cells = next(rows, None)
            except csv.Error as error:
                yield _badly_quoted(begin, rows.line_num + source.skipped_lines, str(error))
                continue
            except UnicodeDecodeError:
                raise _not_decoded(source, begin) from None
            if cells is None:
                return
            if not names:
                names = _header(source, cells)
                if source.has_header:
                    continue
            if cells:
                yield _record(begin, rows.line_num + source.skipped_lines, names, cells)


def _not_decoded(source: Source, line: int) -> UserError:
    problem = (
        _("Line {line} of {path} cannot be read as {words}")
        if line
        else _("{path} cannot be read as {words}")
    )
    return UserError(
        problem.format(line=f"{line:,}", path=source.path, words=source.words), _("save the file as UTF-8")
    )


def _bounded(text: TextIO, path: Path) -> Iterator[str]:
    """Yield the lines of a text.

    Raises:
        UserError: one is longer than memory should hold.
    """
    for number, line in enumerate(iter(partial(text.readline, MOST_BYTES), ""), start=1):
        if len(line) == MOST_BYTES:
            raise UserError(
                _("Line {line} of {path} has more than {size} million characters").format(
                    line=number, path=path, size=round(MOST_BYTES / 1e6)
                ),
                _("split it"),
            )
        yield line


def _header(source: Source, cells: list[str]) -> list[str]:
    if not source.has_header:
        return [_("column {n}").format(n=number) for number in range(1, len(cells) + 1)]
    names = [cell.strip() for cell in cells]
    if source.named_at or reads_like_row(names):
        return told_apart(names)  # what it seems to be is asked about
    refuse_twice(source.path, names)
    return names


def _record(begin: int, end: int, names: list[str], cells: list[str]) -> Record | Rejected:
    if len(cells) != len(names):
        message = ngettext(
            "{count} cell, but the header has {wanted}",
            "{count} cells, but the header has {wanted}",
            len(cells),
        ).format(count=len(cells), wanted=len(names))
        fix = _("put cells with delimiters in double quotes")
        return Rejected(begin, "wrong_cells", message + _range(begin, end), fix)
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        return Rejected(begin, "invalid_utf8", _("not UTF-8"), _("save the file as UTF-8"))
    return Record(begin, dict(zip(names, cells, strict=True)))


def _badly_quoted(begin: int, end: int, error: str) -> Rejected:
    if error.startswith("unexpected end"):
        message = _("a quote is never closed: the rest of the file is one cell")
    elif error.startswith("field larger"):
        message = _("a quote is not closed within {size} million characters")
    else:
        message = _("something follows a closing quote")
    message = message.format(size=round(MOST_BYTES / 1e6)) + _range(begin, end)
    return Rejected(begin, "bad_quote", message, _("write a quote inside a cell twice"))


def _range(begin: int, end: int) -> str:
    """Say which lines a rejected row takes up, where it is several: they may hold more rows than one."""
    if end == begin:
        return ""
    return _(" (lines {begin} to {end})").format(begin=f"{begin:,}", end=f"{end:,}")


def _json_lines(source: Source) -> Iterator[Record | Rejected]:
    line = 0
    with source.open_utf8() as file:
        try:
            for item in numbered_lines(file, source.path.name, Oddities()):
                line = item.line if isinstance(item, Fault) else item[0]
                if isinstance(item, Fault):
                    yield Rejected(item.line, item.kind, item.message, item.fix)
                else:
                    yield _object(*item)
        except UnicodeDecodeError:
            raise _not_decoded(source, line + 1) from None


def _array(source: Source) -> Iterator[Record | Rejected]:
    with source.open_utf8() as file:
        try:
            whole = file.read(MOST_ARRAY_BYTES + 1)
        except UnicodeDecodeError:
            raise _not_decoded(source, 0) from None
    if len(whole) > MOST_ARRAY_BYTES:
        raise UserError(
            _("{path} is one JSON array of more than {size} million bytes").format(
                path=source.path, size=round(MOST_ARRAY_BYTES / 1e6)
            ),
            _("write one object a line: then it need not be in memory as a whole"),
        )
    try:
        items = msgspec.json.decode(whole.removeprefix(b"\xef\xbb\xbf"), type=list[msgspec.Raw])
    except (msgspec.DecodeError, RecursionError) as error:
        raise UserError(
            _("{path} is no JSON array: {reason}").format(path=source.path, reason=error),
            _("correct it there, or write one object a line"),
        ) from None
    for number, item in enumerate(items, start=1):
        yield _object(number, bytes(item))


def _object(place: int, raw: bytes) -> Record | Rejected:
    try:
        return Record(place, parse_object(raw))
    except RowError as error:
        return Rejected(place, error.kind, error.message, error.fix)
