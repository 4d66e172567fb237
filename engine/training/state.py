"""`training_state.json`: what a run is doing, for every other process to read."""

import json
import math
import os
import socket
import time
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args

from engine.files import write_json
from engine.training.progress import Progress

import psutil

Status = Literal["running", "paused", "finished", "failed"]


@dataclass(frozen=True)
class RunState:
    """The content of `training_state.json`."""

    status: Status
    model: str
    """Name of the base model's folder."""
    step: int = 0
    epoch: int = 0
    total_steps: int = 0
    steps_per_epoch: int = 0
    initial_val_loss: float | None = None
    """Validation loss before the first step."""
    best_step: int | None = None
    best_val_loss: float | None = None
    last_checkpoint: str | None = None
    """Folder name of the newest checkpoint."""
    reason: str = ""
    """Why the run stopped, in words."""
    pid: int = field(default_factory=os.getpid)
    host: str = field(default_factory=socket.gethostname)
    pid_started: float = field(default_factory=lambda: psutil.Process().create_time())
    """Start of the process in seconds since 1970: tells a reused pid apart."""
    started: str = field(default_factory=lambda: now())
    updated: str = field(default_factory=lambda: now())

    def save(self, path: Path) -> None:
        """Replace the file atomically, stamped with the current time."""
        write_json(path, asdict(replace(self, updated=now())))

    @classmethod
    def load(cls, path: Path) -> "RunState | None":
        """Read the file; None if there is none or it is not one of ours."""
        try:
            values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return cls(**values) if values["status"] in get_args(Status) else None
        except (OSError, ValueError, TypeError, KeyError):
            return None

    @property
    def is_alive(self) -> bool:
        """Whether the process that wrote "running" still lives (judged on its own host only)."""
        if self.status != "running":
            return False
        if self.host != socket.gethostname():
            return True
        try:
            return bool(abs(psutil.Process(self.pid).create_time() - self.pid_started) < 2.0)
        except psutil.Error:
            return False


class StateWriter:
    """Keeps `training_state.json` up to date; the disk is asked at most once a second while running."""

    def __init__(self, path: Path, model: str, total_steps: int, steps_per_epoch: int) -> None:
        self._path = path
        self._state = RunState("running", model, total_steps=total_steps, steps_per_epoch=steps_per_epoch)
        self._written = -math.inf
        self.checkpoint = path.parent
        """Folder of the newest checkpoint; set it when one was saved."""

    def write(self, status: Status, progress: Progress, epoch: int, reason: str = "") -> None:
        """Record where the run stands. A change of status or checkpoint is written at once."""
        saved = self.checkpoint.name if self.checkpoint != self._path.parent else None
        state = replace(
            self._state,
            status=status,
            reason=reason,
            step=progress.step,
            epoch=epoch,
            initial_val_loss=progress.initial_val_loss,
            best_step=progress.best_step,
            best_val_loss=progress.best_val_loss,
            last_checkpoint=saved,
        )
        changed = (state.status, state.last_checkpoint) != (self._state.status, self._state.last_checkpoint)
        self._state = state
        if changed or time.monotonic() - self._written >= 1.0:
            state.save(self._path)
            self._written = time.monotonic()


def now() -> str:
    """Return the wall-clock time as ISO 8601 with offset, to the second."""
    return datetime.now().astimezone().isoformat(timespec="seconds")
