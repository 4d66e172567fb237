"""Reading the metrics of a run back from its file, once or again and again while it grows."""

import math
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from engine.errors import UserError, system_reason
from engine.files import NoPlainFile, open_own
from engine.i18n import _
from engine.project import Project
from engine.training.metrics_row import MetricsLine, end_of, row_of, rows_of

import msgspec
import numpy as np
from msgspec.structs import astuple
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Lines are decoded in pieces of this many bytes: rows of one piece stay in the processor's cache.
# No line is longer: what has no break for so long is no line of ours.
_PIECE = 1 << 17
# So many bytes before the place reached are compared to notice a rewritten file; longer than one line.
_TAIL = 1024
_MOST_BYTES = 4 << 30
"""Ten million steps."""
_INTEGERS = frozenset({"step", "epoch", "tokens"})
_NAMES = MetricsLine.__struct_fields__


def _no_ints() -> Ints:
    return np.empty(0, np.int64)


def _no_floats() -> Floats:
    return np.empty(0, np.float64)


@dataclass(frozen=True, eq=False)
class RunHistory:
    """The columns of a run, one entry per optimizer step; units as in `StepMetrics`.

    NaN stands for a value that is not there (`val_loss`) or was not finite (`loss`, `grad_norm`); a
    `val_loss` of infinity is one that the file itself says was not finite.
    """

    step: Ints = field(default_factory=_no_ints)
    epoch: Ints = field(default_factory=_no_ints)
    loss: Floats = field(default_factory=_no_floats)
    val_loss: Floats = field(default_factory=_no_floats)
    learning_rate: Floats = field(default_factory=_no_floats)
    grad_norm: Floats = field(default_factory=_no_floats)
    tokens: Ints = field(default_factory=_no_ints)
    tokens_per_second: Floats = field(default_factory=_no_floats)
    peak_memory_gb: Floats = field(default_factory=_no_floats)
    elapsed_s: Floats = field(default_factory=_no_floats)
    unreadable: int = 0
    """Whole lines that are no step of a run and were left out."""
    modified: float = 0.0
    """When the file was last written, seconds since 1970; 0 if there is none."""
    ended: float = 0.0
    """When the last step ended, by the clock of its machine; 0 if its line does not tell."""

    def __len__(self) -> int:
        return len(self.step)

    def points(self, name: str) -> tuple[Ints, Floats]:
        """Return the steps at which the column `name` has a finite value, and those values."""
        values = np.asarray(getattr(self, name), np.float64)
        known = np.isfinite(values)
        return self.step[known], values[known]


class HistoryReader:
    """Follows the metrics file of a project: each `poll` reads only what is new."""

    _offset: int
    """Bytes read so far, all of them whole lines."""
    _tail: bytes
    """The last of those bytes."""
    _count: int
    """Steps read so far; the columns are longer, to have room."""
    _columns: dict[str, NDArray[Any]]
    _history: RunHistory

    def __init__(self, project: Project) -> None:
        self._path = project.metrics_file
        self._identity = (-1, -1)  # device and inode of the file read last
        self._restart()

    def poll(self) -> RunHistory:
        """Return the history up to the last whole line; the same object if nothing changed.

        A file that was replaced, cut or rewritten (a restart, or a resume that dropped
        lines) is read from its start. A torn last line waits for its rest.
        """
        try:
            file = open_own(self._path)
        except OSError:
            if len(self._history):
                self._restart()
            return self._history
        with file:
            return self._read(file)

    def _read(self, file: BinaryIO) -> RunHistory:
        status = os.fstat(file.fileno())
        if status.st_size > _MOST_BYTES:  # no metrics of ours: as if there were none
            self._restart()
            return self._history
        identity = (status.st_dev, status.st_ino)
        if identity != self._identity or not self._continues(file, status.st_size):
            self._restart()
            self._identity = identity
        before = self._offset
        file.seek(before)
        for piece in _whole_lines(file):
            self._append(piece)
            self._offset += len(piece)
            self._tail = (self._tail + piece[-_TAIL:])[-_TAIL:]
        if self._offset != before or self._history.modified != status.st_mtime:
            self._history = self._snapshot(status.st_mtime)
        return self._history

    def _continues(self, file: BinaryIO, size: int) -> bool:
        if size < self._offset:
            return False
        file.seek(self._offset - len(self._tail))
        return file.read(len(self._tail)) == self._tail

    def _restart(self) -> None:
        self._offset = 0
        self._tail = b""
        self._unreadable = 0
        self._count = 0
        self._columns = {name: _column(name, 0) for name in _NAMES}
        self._history = RunHistory()

    def _append(self, piece: bytes) -> None:
        if not (rows := self._decode(piece)):
            return
        count, end = self._count, self._count + len(rows)
        self._make_room(end)
        for column, values in zip(self._columns.values(), zip(*map(astuple, rows), strict=True), strict=True):
            column[count:end] = _values(values, column.dtype)
        self._count = end

    def _make_room(self, needed: int) -> None:
        """Put longer columns in the place of those that `needed` entries do not fit in."""
        room = len(self._columns["step"])
        if needed > room:
            size = max(needed, 4 * room, 1024)  # what is not written to takes no memory
            for name, column in self._columns.items():
                self._columns[name] = _column(name, size)
                self._columns[name][: self._count] = column[: self._count]

    def _decode(self, piece: bytes) -> list[MetricsLine]:
        try:
            return rows_of(piece)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            rows = []
            for line in piece.splitlines():
                try:
                    rows.append(row_of(line))
                except (ValueError, RecursionError):
                    self._unreadable += 1
            return rows

    def _snapshot(self, modified: float) -> RunHistory:
        # Views: rows already read never change, so an older history stays right.
        views = {name: column[: self._count] for name, column in self._columns.items()}
        return RunHistory(**views, unreadable=self._unreadable, modified=modified, ended=end_of(self._tail))


def load_history(project: Project) -> RunHistory:
    """Read the whole metrics file; an empty history if there is none.

    Raises:
        UserError: what has its name is no plain file, is far too large or cannot be read.
    """
    require_readable(project)
    return HistoryReader(project).poll()


def require_readable(project: Project) -> None:
    """See that the metrics file can be read if there is one; a `HistoryReader` takes it for none otherwise.

    Raises:
        UserError: what has its name is no plain file, is far too large or cannot be read.
    """
    try:
        with open_own(project.metrics_file) as file:
            if os.fstat(file.fileno()).st_size > _MOST_BYTES:
                raise UserError(
                    _("{file} is larger than any run's").format(file=project.metrics_file),
                    _("take it away or put the right file there"),
                )
    except FileNotFoundError:
        pass
    except NoPlainFile:
        raise
    except OSError as error:
        raise UserError(
            _("{file} cannot be read: {reason}").format(
                file=project.metrics_file, reason=system_reason(error)
            ),
            _("make it readable for yourself"),
        ) from None


def _whole_lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the rest of the file in pieces that end at a line break, or after `_PIECE` bytes without any."""
    while piece := file.read(_PIECE):
        end = piece.rfind(b"\n") + 1
        if not end:
            piece += file.readline(_PIECE)
            end = piece.rfind(b"\n") + 1
        if not end:
            if len(piece) < _PIECE:
                return
            end = len(piece)
        file.seek(end - len(piece), os.SEEK_CUR)
        yield piece[:end]


def _column(name: str, size: int) -> NDArray[Any]:
    return np.empty(size, np.int64 if name in _INTEGERS else np.float64)


def _values(values: tuple[Any, ...], kind: np.dtype[Any]) -> NDArray[Any]:
    """Return values as an array; None becomes NaN. Packing them is five times as fast as NumPy's own way."""
    layout = f"{len(values)}{kind.char}"
    try:
        packed = struct.pack(layout, *values)
    except struct.error:  # where there is a None
        packed = struct.pack(layout, *[math.nan if value is None else value for value in values])
    return np.frombuffer(packed, kind)
