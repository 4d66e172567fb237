"""Rows of another file, in whatever form, written as JSON Lines that can be trained on.

Nothing that is there is touched, and no row is lost in silence: what cannot be used is listed.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event
from typing import BinaryIO, Literal

from engine.dataset.convert.column_mapping import ColumnMapping
from engine.dataset.convert.imported import REJECTED, Imported, Tally
from engine.dataset.convert.publish import publish, publish_into
from engine.dataset.convert.records import Record, Rejected
from engine.dataset.convert.row_file import RowStore
from engine.dataset.convert.tables import Table, read_records
from engine.dataset.convert.validation_split import SHARE, draw_validation
from engine.dataset.convert.written_row import as_turns, written_row
from engine.dataset.inspect.duplicates import DuplicateFinder
from engine.dataset.jsonl.parse import RowError
from engine.dataset.watch import watched
from engine.errors import UserError
from engine.i18n import _, ngettext, number
from engine.project import Project
from engine.sanitize import json_text
from engine.shell import for_file

import numpy as np
from numpy.typing import NDArray

_ROWS = ".rows"
ImportStage = Literal["read", "written"]
OnImportProgress = Callable[[ImportStage, int], None]
"""Called with the number of rows that have reached a stage."""


@dataclass(frozen=True)
class ImportOptions:
    """How the rows are to be written."""

    valid_share: float = SHARE
    """Of the rows, to be set apart for validation; 0 for none, below 1."""
    shuffle: bool = True
    seed: int = 0
    """Of the shuffling and of the rows that are set apart."""


def import_rows(
    project: Project,
    table: Table,
    mapping: ColumnMapping,
    options: ImportOptions,
    on_progress: OnImportProgress,
    cancel: Event,
) -> Imported:
    """Write the rows of a table to the project's data folder, or to a new one in it if data is there.

    Args:
        project: that gets the rows.
        table: they come from.
        mapping: what its columns mean.
        options: how they are written.
        on_progress: told how far it is.
        cancel: ends it.

    Raises:
        UserError: the file cannot be read to its end, none of its rows can be used, or nothing can be
            written. Nothing is left behind then.
        Cancelled: `cancel` was set; likewise.
    """
    job = _Job(project, table, mapping, options, on_progress, cancel)
    data, train = project.data_dir, project.train_file.name
    if not data.exists():
        folder, written = publish(job.write, project.root, data.name)
    elif not any((data / name).exists() for name in (train, project.valid_file.name, REJECTED)):
        folder, written = data, publish_into(job.write, data, train)
    else:
        folder, written = publish(job.write, data, "imported")
    is_undivided = options.valid_share > 0 and not written.valid
    return Imported(
        folder,
        written.train,
        written.valid,
        dict(written.kinds),
        tuple(written.listed),
        is_undivided=is_undivided,
        doubts=written.doubts,
        not_used=dict(written.not_used.counts),
    )


@dataclass(frozen=True)
class _Job:
    """One import; see `import_rows` for the fields."""

    project: Project
    table: Table
    mapping: ColumnMapping
    options: ImportOptions
    on_progress: OnImportProgress
    cancel: Event

    def write(self, folder: Path) -> Tally:
        """Write all files to a folder."""
        written, duplicates = Tally(), DuplicateFinder(_ROWS, "")
        with RowStore(folder / _ROWS) as rows:
            with (folder / REJECTED).open("wb") as rejected:
                self._read(written, duplicates, rows, rejected)
            if not len(rows):
                raise _nothing_left(self.table, written)
            if not written.kinds:
                (folder / REJECTED).unlink()
            apart, order = self._apart(len(rows), duplicates), np.arange(len(rows))
            if self.options.shuffle:
                order = np.random.default_rng([self.options.seed, 1]).permutation(order)
            copy = partial(self._copy, rows, written.forms.are_mixed)
            written.train = copy(order[~apart[order]], folder / self.project.train_file.name)
            written.valid = copy(order[apart[order]], folder / self.project.valid_file.name)
        return written

    def _read(self, written: Tally, duplicates: DuplicateFinder, rows: RowStore, rejected: BinaryIO) -> None:
        """Keep the rows that can be used in `rows`, in their order, and write the others to `rejected`."""
        for item in watched(read_records(self.table.source), partial(self.on_progress, "read"), self.cancel):
            if isinstance(item, Record):
                try:
                    line, row = written_row(item, self.mapping, len(rows), written.not_used)
                    written.take(row, item, line, self.table.source.delimiter)
                except RowError as error:
                    item = Rejected(item.place, error.kind, error.message, error.fix)
            if isinstance(item, Rejected):
                written.reject(item)
                rejected.write(self._listed(item))
                continue
            rows.add(line.encode())
            if self.options.valid_share:
                duplicates.see(_ROWS, row)

    def _listed(self, row: Rejected) -> bytes:
        """Return an entry of the list of rejected rows."""
        place = "line" if self.table.has_lines else "row"
        entry = {"file": self.table.source.path.name, place: row.place, "kind": row.kind}
        return json_text({**entry, "reason": row.reason, "fix": row.fix}).encode() + b"\n"

    def _apart(self, count: int, duplicates: DuplicateFinder) -> NDArray[np.bool_]:
        """Return for each row whether it is set apart for validation; none is where no two rows differ."""
        apart = np.zeros(count, bool)
        pairs = ((found.row.line, found.other.line) for found in duplicates.duplicates())
        if self.options.valid_share:
            with suppress(UserError):
                drawn = draw_validation(range(count), pairs, self.options.seed, self.options.valid_share)
                apart[list(drawn)] = True
        return apart

    def _copy(self, rows: RowStore, are_mixed: bool, chosen: NDArray[np.int64], path: Path) -> int:
        """Write some of the rows to a file, if there are any; return how many."""

        def passing(lines: Iterable[bytes]) -> Iterable[bytes]:
            seen = watched(lines, partial(self.on_progress, "written"), self.cancel)
            return map(as_turns, seen) if are_mixed else seen

        if len(chosen):
            rows.copy(chosen.tolist(), path, passing)
        return len(chosen)


def _nothing_left(table: Table, written: Tally) -> UserError:
    if not written.listed:  # the file has changed since it was looked into
        return UserError(_("{path} has no rows").format(path=table.source.path), _("name a file with rows"))
    first = written.listed[0]
    count = written.kinds.total()
    problem = ngettext(
        "The {count} row of {path} cannot be used; {where}: {reason}",
        "None of the {count} rows of {path} can be used; {where}: {reason}",
        count,
    ).format(
        count=number(count),
        path=table.source.path,
        where=table.where(first.place),
        reason=first.reason,
    )
    return UserError(problem, for_file(first.fix, table.source.path))
