"""Training the candidates: all of them a third of the way, the better half to the end."""

import math
from collections.abc import Callable
from threading import Event as StopEvent

from engine.config import TrainingConfig
from engine.errors import UserError
from engine.project import Project
from engine.training.events import Evaluated, Event, Paused, Started
from engine.training.failures import explained_writes
from engine.training.history import load_history
from engine.training.lock import run_lock
from engine.training.state import RunState, known_state
from engine.training.trainer import Trainer
from engine.tuning.compare import result_of
from engine.tuning.plan import FIRST_SHARE, survivors
from engine.tuning.result import TuningResult
from engine.tuning.state import Tuning, save_tuning

import numpy as np

_COMMAND = "mqlora-tui tune"
OnRun = Callable[[int, float], None]
"""Called with the candidate that is trained now, and the share of its steps that it is trained to."""
OnEvent = Callable[[Event], None]


class _Either(StopEvent):
    """Is set where it, or another one, is."""

    def __init__(self, other: StopEvent) -> None:
        super().__init__()
        self._other = other

    def is_set(self) -> bool:
        """Whether one of them is set."""
        return super().is_set() or self._other.is_set()


class Tuner:
    """Makes, or goes on with, the runs of a tuning. Use it on the thread that owns MLX."""

    def __init__(
        self,
        project: Project,
        chosen: TrainingConfig,
        tuning: Tuning,
        stop: StopEvent,
        on_run: OnRun,
        on_event: OnEvent,
    ) -> None:
        """Prepare nothing yet.

        Args:
            project: with model and data; its present run is not touched, and no other may begin meanwhile.
            chosen: the settings that are chosen.
            tuning: what is tried.
            stop: set it to pause with a checkpoint after the current step.
            on_run: told before each run.
            on_event: told what the trainer tells, but for pauses.
        """
        self._project, self._chosen, self._tuning = project, chosen, tuning
        self._stop, self._on_run, self._on_event = stop, on_run, on_event

    def run(self) -> TuningResult | None:
        """Train what is left to train and compare; None if asked to stop before.

        Raises:
            UserError: a run is refused, or cannot go on; another process trains.
        """
        projects = self._tuning.projects(self._project)
        with explained_writes(self._project.run_dir, _COMMAND), run_lock(self._project, _COMMAND):
            self._project.archive_dir.mkdir(exist_ok=True)
            save_tuning(self._project, self._tuning)
            if not all(self._train(place, FIRST_SHARE) for place in range(len(projects))):
                return None
            left = survivors([_rung_loss(project, FIRST_SHARE) for project in projects])
            if not all(self._train(place, 1.0) for place in left):
                return None
            return result_of(self._project, self._chosen, self._tuning, left, self._stop)

    def _train(self, place: int, share: float) -> bool:
        """Train a candidate to a share of its steps, unless it is there; return whether it got there."""
        project = self._tuning.projects(self._project)[place]
        if self._stop.is_set():
            return False
        if _is_over(project) or (share < 1 and _rung_loss(project, share) is not None):
            return True
        self._on_run(place, share)
        config = self._tuning.candidates[place].config(self._chosen)
        pause, total = _Either(self._stop), 0
        for event in Trainer(project, config, pause).run():
            if not isinstance(event, Paused):  # which tells how to go on with a run by itself
                self._on_event(event)
            if isinstance(event, Started):
                total = event.total_steps
            if isinstance(event, Evaluated) and share < 1 and event.step >= _rung(total, share):
                pause.set()
        return _is_over(project) or (share < 1 and not self._stop.is_set())


def _is_over(project: Project) -> bool:
    state = RunState.load(project.state_file)
    return state is not None and state.status == "finished"


def _rung(total: int, share: float) -> int:
    """Return the step from which on a validation counts for a rung."""
    return max(1, math.ceil(share * total))


def _rung_loss(project: Project, share: float) -> float | None:
    """Return the first validation loss of a run from a share of its steps on; None before that."""
    try:
        history, state = load_history(project), known_state(project.state_file)
    except UserError:
        return None
    if state is None or not state.total_steps:
        return None
    is_there = np.isfinite(history.val_loss) & (history.step >= _rung(state.total_steps, share))
    found = history.val_loss[is_there]
    return float(found[0]) if len(found) else None
