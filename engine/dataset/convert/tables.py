"""The rows of a file that is to be imported: each with its line or number, or why it cannot be read.

All formats but the JSON array are read piece by piece, in little memory.
"""

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from engine.dataset.convert.delimited import read_delimited
from engine.dataset.convert.formats import recognise
from engine.dataset.convert.parquet import read_parquet
from engine.dataset.convert.records import Record, Rejected
from engine.dataset.convert.source import Source, not_decoded, reading
from engine.dataset.jsonl.lines import Oddities, numbered_lines
from engine.dataset.jsonl.parse import RowError, parse_object
from engine.dataset.report import Fault
from engine.errors import UserError
from engine.i18n import _, number

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
        return text.format(n=number(place))


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
    readers = {"delimited": read_delimited, "array": _array, "lines": _json_lines, "parquet": read_parquet}
    with reading(source.path):
        yield from readers[source.format](source)


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
            raise not_decoded(source, line + 1) from None


def _array(source: Source) -> Iterator[Record | Rejected]:
    with source.open_utf8() as file:
        try:
            whole = file.read(MOST_ARRAY_BYTES + 1)
        except UnicodeDecodeError:
            raise not_decoded(source, 0) from None
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
    for place, item in enumerate(items, start=1):
        yield _object(place, bytes(item))


def _object(place: int, raw: bytes) -> Record | Rejected:
    try:
        return Record(place, parse_object(raw))
    except RowError as error:
        return Rejected(place, error.kind, error.message, error.fix)
