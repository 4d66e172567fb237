"""What becomes of the rows of another file and of their fields: written, rejected, left out, or doubtful."""

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from engine import units
from engine.dataset.convert.delimited import swallowed_rows
from engine.dataset.convert.records import Record, Rejected
from engine.dataset.convert.tables import Table
from engine.dataset.convert.written_row import WrittenForms
from engine.dataset.inspect.suspicious import doubts_about
from engine.dataset.jsonl.row import Row
from engine.dataset.jsonl.rows import control_fault
from engine.dataset.jsonl.unused_fields import NotUsed, named
from engine.dataset.report import LEFT_OUT, Fault
from engine.i18n import _, number

REJECTED = "rejected.jsonl"
"""Name of the list of rows that were not imported."""
MOST_LISTED = 200
"""Rejected rows that are told of at once; the list on the disk has all."""


@dataclass(frozen=True)
class Doubt:
    """What the check of the data warns of in rows that were imported all the same."""

    kind: str
    """See `Fault`."""
    count: int
    """Of rows."""
    place: int
    """Of the first of them, see `Record`."""
    message: str
    """About it."""
    fix: str

    def where(self, table: Table) -> str:
        """Say which rows of a table it is about."""
        if self.count == 1:
            return table.where(self.place)
        return _("{where} and {count} more").format(
            where=table.where(self.place), count=number(self.count - 1)
        )


@dataclass
class Tally:
    """What is known of the rows so far."""

    kinds: Counter[str] = field(default_factory=Counter)
    listed: list[Rejected] = field(default_factory=list)
    train: int = 0
    valid: int = 0
    _doubts: dict[str, tuple[int, Fault]] = field(default_factory=dict)
    """By kind: in how many rows, and the first."""
    forms: WrittenForms = field(default_factory=WrittenForms)
    not_used: NotUsed = field(default_factory=NotUsed)

    @property
    def doubts(self) -> tuple[Doubt, ...]:
        """What looks like a mistake in the rows that can be used."""
        return tuple(
            Doubt(kind, count, first.line, first.message, first.fix)
            for kind, (count, first) in self._doubts.items()
        )

    def take(self, row: Row, record: Record, line: str, delimiter: str) -> None:
        """Look at a row that can be used.

        Args:
            row: as it will be read.
            record: it comes from.
            line: it is written as.
            delimiter: of a delimited text, else empty.
        """
        self.forms.see(line)
        doubts = (*doubts_about("", row), *control_fault("", row, line.encode()))
        for fault in (*doubts, *swallowed_rows(record, delimiter)):
            count, first = self._doubts.get(fault.kind, (0, replace(fault, line=record.place)))
            self._doubts[fault.kind] = (count + 1, first)

    def reject(self, row: Rejected) -> None:
        """Count a row that is not imported."""
        self.kinds[row.kind] += 1
        if len(self.listed) < MOST_LISTED:
            self.listed.append(row)


@dataclass(frozen=True)
class Imported:
    """What was written."""

    folder: Path
    train: int
    """Rows."""
    valid: int
    kinds: dict[str, int]
    """Rows that were not imported by kind, see `Rejected`."""
    listed: tuple[Rejected, ...]
    """The first of them, `MOST_LISTED` at most."""
    is_undivided: bool = False
    """Whether rows were to be set apart for validation, but no two of them differ."""
    doubts: tuple[Doubt, ...] = ()
    """What the check will warn of in the others."""
    not_used: dict[str, int] = field(default_factory=dict)
    """Fields of rows and turns that were not used, and in how many of the rows written, see `NotUsed`."""

    @property
    def left_out(self) -> int:
        """Rows that ask not to be learned."""
        return self.kinds.get(LEFT_OUT, 0)

    @property
    def rejected(self) -> int:
        """Rows that cannot be used."""
        return sum(self.kinds.values()) - self.left_out

    @property
    def words(self) -> str:
        """What was written, without a full stop."""
        parts = [_("{train} train, {valid} valid").format(train=number(self.train), valid=number(self.valid))]
        if self.is_undivided:
            parts.append(_("no two rows differ, so none could be set apart for validation"))
        if self.left_out:
            parts.append(_("{rows} left out on request").format(rows=units.rows(self.left_out)))
        if self.rejected:
            parts.append(_("{count} rejected").format(count=number(self.rejected)))
        if self.kinds:
            parts[-1] = _("{part}, see {file}").format(part=parts[-1], file=REJECTED)
        return "; ".join(parts)

    @property
    def note(self) -> str:
        """Name the fields that were not used; nothing where all were."""
        if not self.not_used:
            return ""
        return _("fields that are not used, and in how many rows: {names}").format(names=named(self.not_used))
