"""When to interrupt a training process, and what the interruption point hit."""

import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from engine.project import Project
from engine.training.checkpoint_folders import checkpoint_folders
from engine.verify.child import ChildEvent, TrainingProcess

PointKind = Literal["step", "evaluation", "checkpoint", "pause"]
KILL, PAUSE = signal.SIGKILL, signal.SIGINT
# How often a folder is looked at while a checkpoint is awaited, in seconds.
_GLANCE_S = 0.0005
_PARTIAL_WEIGHTS = ".partial-checkpoint*/*.safetensors"


@dataclass(frozen=True)
class Usual:
    """How long things take in a run that nobody disturbs, in seconds (medians)."""

    step_s: float
    evaluation_s: float


@dataclass(frozen=True)
class InterruptionPoint:
    """A place in the run to interrupt at."""

    kind: PointKind
    step: int
    """Not before this many steps are done."""

    @property
    def signal(self) -> signal.Signals:
        """What is sent."""
        return PAUSE if self.kind == "pause" else KILL


def points(total: int) -> list[InterruptionPoint]:
    """Return where a run of `total` steps in two epochs is interrupted, in order."""
    return [
        InterruptionPoint("step", 1),
        InterruptionPoint("evaluation", total // 3),
        InterruptionPoint("checkpoint", total // 2),
        InterruptionPoint("pause", total // 2 + 1),
        InterruptionPoint("step", total // 2 + 1),
    ]


def moment(
    point: InterruptionPoint, event: ChildEvent, step: int, save_every: int, usual: Usual
) -> float | None:
    """Return how many seconds after `event` to interrupt; None if this is not the place.

    Args:
        point: where to interrupt.
        event: the newest event.
        step: steps whose event was seen.
        save_every: steps between two checkpoints.
        usual: durations in the undisturbed run.
    """
    name, phase = event["event"], event.get("name")
    if point.kind == "evaluation" and phase == "validating" and step + 1 >= point.step:
        if event["total"] == 1:  # one micro-batch: no event comes while it is scored
            return usual.evaluation_s / 2 if event["done"] == 0 else None
        return 0.0 if event["done"] == event["total"] // 2 else None
    if point.kind == "checkpoint" and phase == "saving" and step >= point.step:
        return 0.0
    if name != "step_done" or step < point.step:
        return None
    if point.kind == "pause":
        return 0.0
    goes_straight_on = event["val_loss"] is None and step % save_every
    return usual.step_s / 2 if point.kind == "step" and goes_straight_on else None


def interrupt(point: InterruptionPoint, process: TrainingProcess, project: Project, delay: float) -> bool:
    """Interrupt after `delay` seconds, wait for the end and return whether the place was hit."""
    if point.kind == "checkpoint":
        _await_partial(process, project)
    else:
        time.sleep(delay)
    process.interrupt(point.signal)
    for _event in process.events():
        pass
    process.end(point.signal)
    return _HIT[point.kind](process.last, project)


def _await_partial(process: TrainingProcess, project: Project) -> None:
    """Return once a checkpoint's arrays are being written, or when it is too late for that."""
    before = checkpoint_folders(project.run_dir)
    while process.is_running and checkpoint_folders(project.run_dir) == before:
        if _any(project.run_dir.glob(_PARTIAL_WEIGHTS)):
            return
        time.sleep(_GLANCE_S)


def _any(found: Iterator[object]) -> bool:
    return next(found, None) is not None


_HIT: dict[PointKind, Callable[[ChildEvent, Project], bool]] = {
    # The evidence: what was told last, and what was left behind.
    "step": lambda last, _project: last["event"] == "step_done",
    "evaluation": lambda last, _project: last.get("name") == "validating" and last["done"] < last["total"],
    "checkpoint": lambda _last, project: _any(project.run_dir.glob(_PARTIAL_WEIGHTS)),
    "pause": lambda last, _project: last["event"] == "paused",
}
"""Whether an interruption point hit, from the last event before the end and the files left behind."""
