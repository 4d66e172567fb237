"""A mended copy of the data: what the check says cannot be used, or should not, is left out.

The files themselves are never touched. Rows are copied byte by byte, so whatever else they hold stays.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import chain, count
from pathlib import Path
from typing import Literal

from engine.config import TrainingConfig
from engine.dataset.check import check_data
from engine.dataset.lines import OTHER_FORMATS, Oddities, read_lines
from engine.dataset.report import DataReport, Fault
from engine.dataset.rows import Row, read_rows
from engine.dataset.split import draw_validation
from engine.dataset.twins import TwinFinder
from engine.errors import UserError
from engine.files import PARTIAL, remove, sync, write_atomic
from engine.i18n import _
from engine.project import Project
from engine.text import json_text

DROPPED = frozenset({"duplicate", "leak", "near_leak"})
"""Kinds of warnings whose row is left out, besides every error's. Of two answers to one prompt, and of
rows that are alike within a file, nobody but their author can tell which is meant."""
_NAME = "mended"
_CHANGES = "changes.jsonl"


@dataclass(frozen=True)
class Change:
    """What became of one row, or of a whole file."""

    file: str
    line: int
    """Line number from 1 in the original; 0 where the whole file is meant."""
    action: Literal["dropped", "moved", "tidied"]
    """moved: to the validation set; tidied: mark, blank lines, line breaks."""
    kind: str
    """Of the fault, see `Fault`; `split` for rows that were set apart."""
    reason: str


@dataclass(frozen=True)
class Mended:
    """What was written."""

    folder: Path
    train: int
    """Rows."""
    valid: int
    changes: tuple[Change, ...]


def mend_data(project: Project, config: TrainingConfig, seed: int = 0) -> Mended:
    """Write usable copies of both files, and what changed and why, to a new folder beside them.

    Where no row is left to validate with, a tenth of the training rows is set apart, twins together.

    Args:
        project: whose data are mended.
        config: says which rows are too long to be learned from.
        seed: of the rows that are set apart.

    Raises:
        UserError: a file is no JSON Lines at all, no training row can be kept, none can be set apart, or
            the folder cannot be written.
    """
    report = check_data(project, config)
    _refuse_other_formats(report)
    dropped = {(fault.file, fault.line) for fault in report.faults if _is_dropped(fault)}
    train, valid = (_kept(path, dropped) for path in (project.train_file, project.valid_file))
    if not train:
        raise _nothing_left(project.train_file, report)
    changes = list(_changes(report))
    apart: set[int] = set()
    if not valid:
        apart = draw_validation(sorted(train), _twins(project.train_file, train), seed)
        reason = _("set apart for validation")
        changes += [Change(project.train_file.name, line, "moved", "split", reason) for line in sorted(apart)]
    files = {
        project.train_file.name: _copied(project.train_file, train - apart),
        project.valid_file.name: _copied(project.train_file, apart) + _copied(project.valid_file, valid),
        _CHANGES: "".join(json_text(asdict(change)) + "\n" for change in changes).encode(),
    }
    folder = _published(files, project.data_dir)
    return Mended(folder, len(train) - len(apart), len(valid) + len(apart), tuple(changes))


def _refuse_other_formats(report: DataReport) -> None:
    """Refuse a file whose rows could not be read: without a word they would all be missing in the copy."""
    for fault in report.faults:
        if fault.kind in OTHER_FORMATS:
            problem = _("{file} cannot be mended: {reason}").format(file=fault.file, reason=fault.message)
            raise UserError(problem, fault.fix)


def _is_dropped(fault: Fault) -> bool:
    return fault.severity == "error" or fault.kind in DROPPED


def _kept(path: Path, dropped: set[tuple[str, int]]) -> set[int]:
    """Return the lines of the rows that stay; none for a file that is not there."""
    if not path.exists():
        return set()
    rows = (item.line for item in read_rows(path) if isinstance(item, Row))
    return {line for line in rows if (path.name, line) not in dropped}


def _nothing_left(path: Path, report: DataReport) -> UserError:
    first = next((fault for fault in report.train.faults if _is_dropped(fault)), None)
    return UserError(
        _("No row of {file} can be kept").format(file=path.name),
        first.fix if first else _("add rows to it"),
    )


def _changes(report: DataReport) -> Iterator[Change]:
    for fault in report.faults:
        if _is_dropped(fault) and fault.line:
            yield Change(fault.file, fault.line, "dropped", fault.kind, fault.message)
        elif fault.kind in ("byte_order_mark", "windows_line_ends", "blank_lines", "no_last_line_break"):
            yield Change(fault.file, 0, "tidied", fault.kind, fault.message)


def _twins(path: Path, lines: set[int]) -> Iterator[tuple[int, int]]:
    """Yield the pairs of `lines` that are alike, or answer one prompt."""
    finder = TwinFinder(path.name, "")
    for item in read_rows(path):
        if isinstance(item, Row) and item.line in lines:
            finder.see(path.name, item)
    yield from ((twins.row.line, twins.other.line) for twins in finder.twins())


def _copied(path: Path, lines: set[int]) -> bytes:
    """Return these lines of a file, each with one line break at its end."""
    if not lines:
        return b""
    found = (item for item in read_lines(path, Oddities()) if not isinstance(item, Fault))
    return b"".join(raw.strip() + b"\n" for number, raw in found if number in lines)


def _published(files: dict[str, bytes], beside: Path) -> Path:
    """Write files to a new folder, which has its name only once all are there; return it.

    Raises:
        UserError: they cannot be written; nothing is left behind then.
    """
    try:
        partial = Path(tempfile.mkdtemp(prefix=f"{PARTIAL}{_NAME}-", dir=beside))
        try:
            partial.chmod(0o755)
            for name, content in files.items():
                write_atomic(partial / name, content)
            folder = partial.rename(_free_name(beside))
        except BaseException:
            remove(partial)
            raise
        sync(beside)
    except OSError as error:
        raise UserError(
            _("Cannot write a mended copy to {path}: {reason}").format(path=beside, reason=error.strerror),
            _("free some disk space or mend the folder's permissions"),
        ) from None
    return folder


def _free_name(beside: Path) -> Path:
    names = chain([_NAME], (f"{_NAME}-{number}" for number in count(2)))
    return next(beside / name for name in names if not (beside / name).exists())
