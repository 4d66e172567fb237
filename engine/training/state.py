"""`training_state.json`: what a run is doing, for every other process to read."""

import json
import math
import os
import socket
import time
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from engine.config import TrainingConfig
from engine.errors import UserError
from engine.files import read_own, write_json
from engine.format import FORMAT, is_unknown, other_version
from engine.hardware.command import boot_id
from engine.i18n.retold import retold
from engine.i18n.texts import Message
from engine.project import LOCK_NAME
from engine.sanitize import one_line
from engine.training.events import Phase, Usage
from engine.training.lock_file import owner_of
from engine.training.progress import Progress

from pydantic import Field, TypeAdapter

Status = Literal["running", "paused", "finished", "failed"]
_Count = Annotated[int, Field(ge=0, le=10**12)]
"""Beyond any run; what computes with it need not fear numbers without end."""


@dataclass(frozen=True)
class RunState:
    """The content of `training_state.json`."""

    status: Status
    model: str
    """Name of the base model's folder."""
    step: _Count = 0
    """Of the last line in the metrics."""
    epoch: _Count = 0
    total_steps: _Count = 0
    steps_per_epoch: _Count = 0
    eval_every: _Count = 0
    """Steps between validations, which the configuration may leave open; 0: only at an epoch's or the end."""
    initial_val_loss: float | None = None
    """Validation loss before the first step."""
    best_step: _Count | None = None
    best_val_loss: float | None = None
    unvalidated: _Count | None = None
    """Step whose validation is under way or was cut short."""
    last_checkpoint: str | None = None
    """Folder name of the newest checkpoint."""
    reason: str = ""
    """Why the run stopped, in words of the language of whoever made it, see `reason_of`; of a run that is
    `running`, what it goes on after."""
    messages: tuple[Message, ...] = ()
    """The same in no language yet: what is wrong and what to do, as of a `UserError`."""
    lost_rank: _Count | None = None
    """Number of a lost process of a run of several, if the run ended with it or goes on without."""
    phase: str = ""
    """Stage being worked on, a name of `engine.training.events.Phase`."""
    phase_done: _Count = 0
    phase_total: _Count = 0
    micro_batch_divisor: Annotated[int, Field(ge=1, le=10**6)] = 1
    """Micro-batches hold this many times fewer tokens than the configuration allows."""
    usage: Usage = field(default_factory=Usage)
    """Of the present or last session."""
    ranks: Annotated[int, Field(ge=1, le=10**6)] = 1
    """Processes that train together in the present or last session; this file is the first one's."""
    hosts: tuple[str, ...] = ()
    """Of each of them its machine, as ssh knows it; "localhost" is that of the first. Empty for one alone."""
    resumed_at: _Count = 0
    """Step that the present or last session went on from; 0 where it began the run."""
    pid: int = field(default_factory=os.getpid)
    host: str = field(default_factory=socket.gethostname)
    boot: str = ""
    """Which start of the machine the run was made in, see `engine.hardware.command`."""
    started: str = field(default_factory=lambda: now())
    updated: str = field(default_factory=lambda: now())
    """Rewritten about once a second while steps or validation batches are made."""
    format: int = FORMAT
    """Of the file, see `engine.format`."""
    is_alive: bool = False
    """Whether a process held the run's lock when this was read; not part of the file."""

    def save(self, path: Path) -> None:
        """Replace the file atomically, stamped with the current time."""
        values = asdict(replace(self, updated=now()))
        del values["is_alive"]
        write_json(path, values)

    def validates_every(self, config: TrainingConfig) -> int:
        """Return the steps between the validations of a run with this configuration; 0 where it has none."""
        return self.eval_every if config.eval_every == "auto" else config.eval_every

    @classmethod
    def load(cls, path: Path) -> "RunState | None":
        """Read the file; None if there is none, it is not one of this version's, or it is damaged."""
        try:
            state = _adapter().validate_json(read_own(path), strict=True)
            for moment in (state.started, state.updated):
                datetime.fromisoformat(moment)
        except (OSError, ValueError):
            return None
        if state.format > FORMAT:
            return None
        alive = state.status == "running" and owner_of(path.parent / LOCK_NAME) is not None
        return replace(state, is_alive=alive)


def is_unreadable(path: Path) -> bool:
    """Whether something has the name of a run's state that cannot be read as one of this version's."""
    return os.path.lexists(path) and RunState.load(path) is None


def known_state(path: Path) -> RunState | None:
    """Return the state of the run in a folder; None if there is none, or it is damaged.

    Raises:
        UserError: another version wrote it.
    """
    if state := RunState.load(path):
        return state
    try:
        values = json.loads(read_own(path))
    except (OSError, ValueError, RecursionError):
        return None
    if isinstance(values, dict) and is_unknown(values):
        raise other_version(path)
    return None


def lost_host(state: RunState) -> str:
    """Return the name of another machine whose process was lost; empty where none of another was."""
    rank = state.lost_rank or 0
    name = state.hosts[rank] if rank < len(state.hosts) else "localhost"
    return "" if name == "localhost" else one_line(name, 60)


def reason_of(state: RunState) -> str:
    """Return why a run stopped, in the present language; older files hold it in their writer's alone."""
    told = [retold(message) for message in state.messages[:2]]
    return str(UserError(*told)) if told else state.reason


@cache
def _adapter() -> TypeAdapter[RunState]:
    """Return what reads a state: making it takes longer than all the rest of a look at a run."""
    return TypeAdapter(RunState)


@dataclass(frozen=True)
class StopReason:
    """Why a run stopped; see `RunState` for each."""

    reason: str = ""
    messages: tuple[Message, ...] = ()
    lost_rank: int | None = None


NOT_STOPPED = StopReason()
_WRITTEN_AT_ONCE = ("status", "reason", "last_checkpoint", "unvalidated", "initial_val_loss")


class StateWriter:
    """Keeps `training_state.json` up to date; the disk is asked at most once a second while running."""

    def __init__(self, path: Path, fresh: RunState) -> None:
        """Prepare the file; `fresh` holds what stays the same for this session."""
        self._path = path
        self._state = replace(fresh, boot=boot_id())
        self._written = -math.inf
        self.checkpoint: str | None = None
        """Folder name of the newest checkpoint; set it when one was saved."""

    def write(
        self,
        status: Status,
        progress: Progress,
        step: int,
        epoch: int,
        usage: Usage,
        phase: Phase | None = None,
        why: StopReason = NOT_STOPPED,
    ) -> None:
        """Record where the run stands; what is among `_WRITTEN_AT_ONCE` and changes is written at once.

        Args:
            status: of the run.
            progress: of the run.
            step: of the last line in the metrics.
            epoch: that this step belongs to.
            usage: of this session.
            phase: what is done now.
            why: it stopped.
        """
        state = replace(
            self._state,
            status=status,
            **vars(why),
            step=step,
            epoch=epoch,
            usage=usage,
            initial_val_loss=progress.initial_val_loss,
            best_step=progress.best_step,
            best_val_loss=progress.best_val_loss,
            unvalidated=None if progress.pending is None else progress.pending.step,
            last_checkpoint=self.checkpoint,
            phase=phase.name if phase else "",
            phase_done=phase.done if phase else 0,
            phase_total=phase.total if phase else 0,
        )
        self._save_if_due(state)

    def _save_if_due(self, state: RunState) -> None:
        changed = any(getattr(state, name) != getattr(self._state, name) for name in _WRITTEN_AT_ONCE)
        self._state = state
        if changed or time.monotonic() - self._written >= 1.0:
            state.save(self._path)
            self._written = time.monotonic()


def now() -> str:
    """Return the wall-clock time as ISO 8601 with offset, to the second."""
    return datetime.now().astimezone().isoformat(timespec="seconds")
