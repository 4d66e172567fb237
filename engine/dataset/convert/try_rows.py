"""What the first rows of a table become, before anything is written."""

from dataclasses import dataclass, field
from typing import Any

from engine.dataset.convert.column_mapping import ColumnMapping
from engine.dataset.convert.imported import Tally
from engine.dataset.convert.records import Record, Rejected
from engine.dataset.convert.tables import Table
from engine.dataset.convert.written_row import as_turns, written_row
from engine.dataset.jsonl.parse import RowError
from engine.dataset.report import LEFT_OUT

import msgspec


@dataclass(frozen=True)
class Tried:
    """The first rows of a table."""

    rows: tuple[tuple[int, dict[str, Any]] | Rejected, ...]
    """Each with its place and as it would be written, or why it would not."""
    tally: Tally = field(default_factory=Tally)

    @property
    def left_out(self) -> int:
        """Rows that ask not to be learned."""
        return self.tally.kinds[LEFT_OUT]

    @property
    def rejected(self) -> int:
        """Rows that cannot be used."""
        return self.tally.kinds.total() - self.left_out

    @property
    def usable(self) -> int:
        """Rows that would be written."""
        return len(self.rows) - self.tally.kinds.total()


def try_rows(table: Table, mapping: ColumnMapping) -> Tried:
    """Return what the rows that were looked into would become.

    Args:
        table: they are of.
        mapping: what its columns mean.
    """
    tally, made = Tally(), list[tuple[int, str] | Rejected]()
    for item in table.sample:
        if isinstance(item, Record):
            try:
                line, row = written_row(item, mapping, item.place, tally.not_used)
            except RowError as error:
                item = Rejected(item.place, error.kind, error.message, error.fix)
            else:
                tally.take(row, item, line, table.source.delimiter)
                made.append((item.place, line))
        if isinstance(item, Rejected):
            tally.reject(item)
            made.append(item)
    change = as_turns if tally.forms.are_mixed else bytes
    return Tried(
        tuple(
            item if isinstance(item, Rejected) else (item[0], msgspec.json.decode(change(item[1].encode())))
            for item in made
        ),
        tally,
    )
