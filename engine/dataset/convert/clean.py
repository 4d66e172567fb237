"""A cleaned copy of the data: what the check says cannot be used, or should not, is left out.

The files themselves are never touched. Rows are copied byte by byte, so whatever else they hold stays.
"""

from array import array
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from threading import Event
from typing import Literal

from engine.config import TrainingConfig
from engine.dataset.convert.publish import publish
from engine.dataset.convert.row_file import RowStore
from engine.dataset.convert.validation_split import draw_validation
from engine.dataset.inspect.check import check_stages
from engine.dataset.inspect.duplicates import DuplicateFinder
from engine.dataset.jsonl.lines import OTHER_FORMATS, Oddities, read_lines
from engine.dataset.jsonl.row import Row
from engine.dataset.jsonl.rows import read_rows
from engine.dataset.report import CheckStage, DataReport, Fault
from engine.dataset.watch import watched
from engine.errors import UserError
from engine.i18n import _
from engine.project import Project
from engine.sanitize import json_text
from engine.shell import for_file

import numpy as np
from numpy.typing import NDArray

DROPPED = frozenset({"duplicate", "leak", "near_leak"})
"""Kinds of warnings whose row is left out, besides every error's. Of two answers to one prompt, and of
rows that are alike within a file, nobody but their author can tell which is meant."""
TIDIED = frozenset({"byte_order_mark", "windows_line_ends", "blank_lines", "no_last_line_break"})
"""Kinds of notes on what a copy does not have."""
_NAME = "mended"
_CHANGES = "changes.jsonl"
OnCleanProgress = Callable[[CheckStage | Literal["copied"], str, int], None]
"""As `engine.dataset.inspect.check.OnCheckProgress`, and of the lines copied."""


@dataclass(frozen=True)
class Change:
    """What became of one row, or of a whole file."""

    file: str
    line: int
    """Line number from 1 in the original; 0 where the whole file is meant."""
    action: Literal["dropped", "moved", "tidied", "shuffled"]
    """moved: to the validation set; tidied: mark, blank lines, line breaks."""
    kind: str
    """Of the fault, see `Fault`; `split` for rows that were set apart, `order` for shuffled files."""
    reason: str


@dataclass(frozen=True)
class Cleaned:
    """What was written."""

    folder: Path
    train: int
    """Rows."""
    valid: int
    changes: tuple[Change, ...]
    warned: int = 0
    """Rows that stay although the check warns of them."""

    @property
    def dropped(self) -> int:
        """Rows that were left out, each once whatever is wrong with it."""
        return len({(change.file, change.line) for change in self.changes if change.action == "dropped"})

    @property
    def moved(self) -> int:
        """Rows that were set apart for validation."""
        return sum(change.action == "moved" for change in self.changes)

    @property
    def tidied(self) -> tuple[Change, ...]:
        """What was done to whole files."""
        return tuple(change for change in self.changes if change.action in ("tidied", "shuffled"))


def clean_data(
    project: Project,
    config: TrainingConfig,
    seed: int = 0,
    shuffle: bool = False,
    on_progress: OnCleanProgress = lambda stage, file, lines: None,
    cancel: Event | None = None,
) -> Cleaned:
    """Write usable copies of both files, and what changed and why, to a new folder beside them.

    Where no row is left to validate with, a tenth of the training rows is set apart, duplicates together.

    Args:
        project: whose data is cleaned.
        config: says which rows are too long to be learned from.
        seed: of the rows that are set apart, and of the shuffling.
        shuffle: write the rows of both files in random order.
        on_progress: told how far it is.
        cancel: set it on another thread to end; nothing is left behind then.

    Raises:
        UserError: a file is no JSON Lines at all, no training row can be kept, none can be set apart, or
            the folder cannot be written.
        Cancelled: `cancel` was set.
    """
    cancel = cancel or Event()
    *_stages, report = check_stages(project, config, on_progress, cancel)
    _refuse_other_formats(report, project)
    job = _Job(project, report, seed, shuffle, on_progress, cancel)
    folder, cleaned = publish(job.write, project.data_dir, _NAME)
    train, valid, changes = cleaned
    return Cleaned(folder, train, valid, changes, len(_warned(report) - dropped_rows(report)))


@dataclass(frozen=True)
class _Job:
    """One copy; see `clean_data` for the fields."""

    project: Project
    report: DataReport
    seed: int
    shuffle: bool
    on_progress: OnCleanProgress
    cancel: Event

    def write(self, folder: Path) -> tuple[int, int, tuple[Change, ...]]:
        """Write all files to a folder; return the rows of both, and what changed."""
        source = self.project.train_file
        changes = list(_changes(self.report))
        with RowStore(folder / ".rows") as store:
            lines = self._keep(source, store)
            if not lines:
                raise _nothing_left(source, self.report)
            train, apart = np.arange(len(lines)), np.arange(0)
            if self._keep(self.project.valid_file, store):
                apart = np.arange(len(lines), len(store))
            else:
                drawn = np.isin(lines, list(self._drawn(lines)))
                train, apart = train[~drawn], train[drawn]
                reason = _("set apart for validation")
                changes += [Change(source.name, lines[row], "moved", "split", reason) for row in apart]
            self._copy(store, train, folder / source.name, changes)
            self._copy(store, apart, folder / self.project.valid_file.name, changes)
        listed = (json_text(asdict(change)) + "\n" for change in changes)
        (folder / _CHANGES).write_text("".join(listed), encoding="utf-8")
        return len(train), len(apart), tuple(changes)

    def _keep(self, path: Path, store: RowStore) -> "array[int]":
        """Store the rows of a file that stay, without white space around them; return their lines."""
        lines = array("Q")
        if not path.exists():
            return lines
        dropped = {
            fault.line for fault in self.report.faults if fault.file == path.name and is_dropped(fault)
        }
        read = watched(
            read_lines(path, Oddities()), partial(self.on_progress, "copied", path.name), self.cancel
        )
        for item in read:
            if not isinstance(item, Fault) and item[0] not in dropped:
                lines.append(item[0])
                store.add(item[1].strip())
        return lines

    def _drawn(self, lines: "array[int]") -> set[int]:
        """Return the lines of the training file to be set apart."""
        source, kept, finder = self.project.train_file, frozenset(lines), DuplicateFinder("train", "")
        for item in watched(
            read_rows(source), partial(self.on_progress, "compared", source.name), self.cancel
        ):
            if isinstance(item, Row) and item.line in kept:
                finder.see("train", item)
        pairs = ((duplicates.row.line, duplicates.other.line) for duplicates in finder.duplicates())
        return draw_validation(lines, pairs, self.seed)

    def _copy(self, store: RowStore, rows: NDArray[np.int64], path: Path, changes: list[Change]) -> None:
        if self.shuffle:
            rows = np.random.default_rng([self.seed, 1]).permutation(rows)
            changes.append(Change(path.name, 0, "shuffled", "order", _("rows are in random order")))
        store.copy(rows.tolist(), path)


def _refuse_other_formats(report: DataReport, project: Project) -> None:
    """Refuse a file whose rows could not be read: without a word they would all be missing in the copy."""
    for fault in report.faults:
        if fault.kind in OTHER_FORMATS:
            problem = _("{file} cannot be cleaned: {reason}").format(file=fault.file, reason=fault.message)
            raise UserError(problem, for_file(fault.fix, project.data_dir / fault.file))


def dropped_rows(report: DataReport) -> set[tuple[str, int]]:
    """Return file and line of the rows that a cleaned copy leaves out."""
    return {(fault.file, fault.line) for fault in report.faults if fault.line and is_dropped(fault)}


def _warned(report: DataReport) -> set[tuple[str, int]]:
    return {(fault.file, fault.line) for fault in report.faults if fault.line and fault.severity == "warning"}


def is_dropped(fault: Fault) -> bool:
    """Whether a cleaned copy leaves out the row that a fault is about."""
    return fault.leaves_out or fault.kind in DROPPED


def _nothing_left(path: Path, report: DataReport) -> UserError:
    first = next((fault for fault in report.train.faults if is_dropped(fault)), None)
    return UserError(
        _("No row of {file} can be kept").format(file=path.name),
        first.fix if first else _("add rows to it"),
    )


def _changes(report: DataReport) -> Iterator[Change]:
    for fault in report.faults:
        if is_dropped(fault) and fault.line:
            yield Change(fault.file, fault.line, "dropped", fault.kind, fault.message)
        elif fault.kind in TIDIED:
            yield Change(fault.file, 0, "tidied", fault.kind, fault.message)
