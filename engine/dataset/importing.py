"""Rows of another file, in whatever form, written as JSON Lines that can be trained on.

Nothing that is there is touched, and no row is lost in silence: what cannot be used is listed.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event
from typing import BinaryIO, Literal

from engine.dataset.converting import convert, not_used_of
from engine.dataset.detecting import reading_of
from engine.dataset.imported import MOST_LISTED, REJECTED, Imported
from engine.dataset.lines import MOST_BYTES
from engine.dataset.mapping import Mapping
from engine.dataset.parsing import RowError
from engine.dataset.publish import publish, publish_into
from engine.dataset.records import Record, Rejected
from engine.dataset.row import Row, row_of
from engine.dataset.split import SHARE, draw_validation
from engine.dataset.store import RowStore
from engine.dataset.tables import Table, read_records
from engine.dataset.twins import TwinFinder
from engine.dataset.unused import NotUsed
from engine.dataset.watch import watched
from engine.errors import UserError
from engine.i18n import _, ngettext
from engine.project import Project
from engine.shell import for_file
from engine.text import json_text

import numpy as np
from numpy.typing import NDArray

_ROWS = ".rows"
Stage = Literal["read", "written"]
Tell = Callable[[Stage, int], None]
"""Called with the number of rows that have reached a stage."""


@dataclass(frozen=True)
class Wish:
    """How the rows are to be written."""

    valid_share: float = SHARE
    """Of the rows, to be set apart for validation; 0 for none, below 1."""
    shuffle: bool = True
    seed: int = 0
    """Of the shuffling and of the rows that are set apart."""


def import_rows(
    project: Project, table: Table, mapping: Mapping, wish: Wish, tell: Tell, cancel: Event
) -> Imported:
    """Write the rows of a table to the project's data folder, or to a new one in it if data are there.

    Args:
        project: that gets the rows.
        table: they come from.
        mapping: what its columns mean.
        wish: how they are written.
        tell: told how far it is.
        cancel: ends it.

    Raises:
        UserError: the file cannot be read to its end, none of its rows can be used, or nothing can be
            written. Nothing is left behind then.
        Cancelled: `cancel` was set; likewise.
    """
    job = _Job(project, table, mapping, wish, tell, cancel)
    data, train = project.data_dir, project.train_file.name
    if not data.exists():
        folder, written = publish(job.write, project.root, data.name)
    elif not any((data / name).exists() for name in (train, project.valid_file.name, REJECTED)):
        folder, written = data, publish_into(job.write, data, train)
    else:
        folder, written = publish(job.write, data, "imported")
    return Imported(
        folder,
        written.train,
        written.valid,
        dict(written.kinds),
        tuple(written.listed),
        is_undivided=wish.valid_share > 0 and not written.valid,
        not_used=dict(written.not_used.counts),
    )


def written_row(
    record: Record, mapping: Mapping, number: int, not_used: NotUsed | None = None
) -> tuple[str, Row]:
    """Return a row as it is written, one line of JSON, and as line `number` will be read.

    Args:
        record: the row of the other file.
        mapping: what its columns mean.
        number: of the line.
        not_used: is shown the fields that are not used, if the row can be.

    Raises:
        RowError: it cannot be used.
    """
    reading = reading_of(record.value, mapping)
    row, names = row_of(convert(record.value, reading), number)
    line = json_text(row.value(mapping.makes_turns))
    if len(line) >= MOST_BYTES // 4:  # a character takes four bytes at most
        message = _("the row has {size} million characters").format(size=round(len(line) / 1e6))
        raise RowError("line_too_long", message, _("split it"))
    if not_used and (names := not_used_of(record.value, reading) + names):
        not_used.see(names, record.place)
    return line, row


@dataclass
class _Written:
    """What is known of the rows so far."""

    kinds: Counter[str] = field(default_factory=Counter)
    listed: list[Rejected] = field(default_factory=list)
    not_used: NotUsed = field(default_factory=NotUsed)
    train: int = 0
    valid: int = 0

    def reject(self, row: Rejected) -> None:
        """Count a row that is not imported."""
        self.kinds[row.kind] += 1
        if len(self.listed) < MOST_LISTED:
            self.listed.append(row)


@dataclass(frozen=True)
class _Job:
    """One import; see `import_rows` for the fields."""

    project: Project
    table: Table
    mapping: Mapping
    wish: Wish
    tell: Tell
    cancel: Event

    def write(self, folder: Path) -> _Written:
        """Write all files to a folder."""
        written, twins = _Written(), TwinFinder(_ROWS, "")
        with RowStore(folder / _ROWS) as rows:
            with (folder / REJECTED).open("wb") as rejected:
                self._read(written, twins, rows, rejected)
            if not len(rows):
                raise _nothing_left(self.table, written)
            if not written.kinds:
                (folder / REJECTED).unlink()
            apart, order = self._apart(len(rows), twins), np.arange(len(rows))
            if self.wish.shuffle:
                order = np.random.default_rng([self.wish.seed, 1]).permutation(order)
            written.train = self._copy(rows, order[~apart[order]], folder / self.project.train_file.name)
            written.valid = self._copy(rows, order[apart[order]], folder / self.project.valid_file.name)
        return written

    def _read(self, written: _Written, twins: TwinFinder, rows: RowStore, rejected: BinaryIO) -> None:
        """Keep the rows that can be used in `rows`, in their order, and write the others to `rejected`."""
        for item in watched(read_records(self.table.source), partial(self.tell, "read"), self.cancel):
            if isinstance(item, Record):
                try:
                    line, row = written_row(item, self.mapping, len(rows), written.not_used)
                except RowError as error:
                    item = Rejected(item.place, error.kind, error.message, error.fix)
            if isinstance(item, Rejected):
                written.reject(item)
                rejected.write(self._listed(item))
                continue
            rows.add(line.encode())
            if self.wish.valid_share:
                twins.see(_ROWS, row)

    def _listed(self, row: Rejected) -> bytes:
        """Return an entry of the list of rejected rows."""
        place = "line" if self.table.has_lines else "row"
        entry = {"file": self.table.source.path.name, place: row.place, "kind": row.kind}
        return json_text({**entry, "reason": row.reason, "fix": row.fix}).encode() + b"\n"

    def _apart(self, count: int, twins: TwinFinder) -> NDArray[np.bool_]:
        """Return for each row whether it is set apart for validation; none is where no two rows differ."""
        apart = np.zeros(count, bool)
        pairs = ((found.row.line, found.other.line) for found in twins.twins())
        if self.wish.valid_share:
            with suppress(UserError):
                drawn = draw_validation(range(count), pairs, self.wish.seed, self.wish.valid_share)
                apart[list(drawn)] = True
        return apart

    def _copy(self, rows: RowStore, chosen: NDArray[np.int64], path: Path) -> int:
        """Write some of the rows to a file, if there are any; return how many."""
        if len(chosen):
            tell = partial(self.tell, "written")
            rows.copy(chosen.tolist(), path, partial(watched, tell=tell, cancel=self.cancel))
        return len(chosen)


def _nothing_left(table: Table, written: _Written) -> UserError:
    if not written.listed:  # the file has changed since it was looked into
        return UserError(_("{path} has no rows").format(path=table.source.path), _("name a file with rows"))
    first = written.listed[0]
    count = written.kinds.total()
    problem = ngettext(
        "The {count} row of {path} cannot be used; {where}: {reason}",
        "None of the {count} rows of {path} can be used; {where}: {reason}",
        count,
    ).format(
        count=f"{count:,}",
        path=table.source.path,
        where=table.where(first.place),
        reason=first.reason,
    )
    return UserError(problem, for_file(first.fix, table.source.path))
