"""A mended copy of the data: what the check says cannot be used, or should not, is left out.

The files themselves are never touched. Rows are copied byte by byte, so whatever else they hold stays.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.config import TrainingConfig
from engine.dataset.check import check_data
from engine.dataset.lines import Oddities, read_lines
from engine.dataset.loading import Progress
from engine.dataset.report import DataReport, Fault
from engine.dataset.rows import Row, read_rows
from engine.dataset.split import draw_validation
from engine.dataset.twins import TwinFinder
from engine.errors import UserError
from engine.files import write_atomic
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
    action: str
    """dropped, moved (to the validation set) or tidied (white space at the ends of lines)."""
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


def mend_data(
    project: Project, config: TrainingConfig, seed: int = 0, progress: Progress | None = None
) -> Mended:
    """Write usable copies of both files, and what changed and why, to a new folder beside them.

    Where no row is left to validate with, a tenth of the training rows is set apart, twins together.

    Args:
        project: whose data are mended.
        config: says which rows are too long to be learned from.
        seed: of the rows that are set apart.
        progress: told how many lines were read.

    Raises:
        UserError: no training row can be kept, none can be set apart, or the folder cannot be written.
    """
    report = check_data(project, config, progress)
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
    folder = _new_folder(project.data_dir)
    for name, content in files.items():
        write_atomic(folder / name, content)
    return Mended(folder, len(train) - len(apart), len(valid) + len(apart), tuple(changes))


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


def _new_folder(beside: Path) -> Path:
    """Make a folder of a name that is not taken yet."""
    number = 1
    while True:
        folder = beside / (_NAME if number == 1 else f"{_NAME}-{number}")
        try:
            folder.mkdir()
            return folder
        except FileExistsError:
            number += 1
        except OSError as error:
            raise UserError(
                _("Cannot write {path}: {reason}").format(path=folder, reason=error.strerror),
                _("make its folder writable"),
            ) from None
