"""A tuning: what it would take; its runs, on the engine's thread, which answers with messages."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from threading import Event
from typing import Protocol

from engine.config import TrainingConfig
from engine.dataset.report import DataReport
from engine.errors import UserError
from engine.hardware.report import HardwareReport
from engine.project import Project
from engine.training.events import Evaluated, Started, StepDone
from engine.training.events import Event as TrainingEvent
from engine.tuning.prepare import Prepared, Values, prepare
from engine.tuning.price import TuningPrice, price_tuning
from engine.tuning.result import TuningResult
from engine.tuning.sentences import run_words
from engine.tuning.state import Tuning, load_tuning
from tui.app.jobs.machine_and_data import Post
from tui.app.jobs.pace import Pace
from tui.console import logged_defect

from textual.message import Message

OnRun = Callable[[int, float], None]
OnEvent = Callable[[TrainingEvent], None]


@dataclass(frozen=True)
class TuningPlan:
    """What would be tried, before anything is trained."""

    chosen: TrainingConfig
    prepared: Prepared
    price: TuningPrice

    @property
    def tuning(self) -> Tuning:
        """What would be tried."""
        return self.prepared.tuning


class CandidateTrainer(Protocol):
    """The part of `engine.tuning.tuner.Tuner` that tuning needs."""

    def run(self) -> TuningResult | None:
        """Return what was found; None if asked to stop before."""
        ...


@dataclass
class TuningMoved(Message, bubble=False):
    """A candidate is trained now."""

    run: str
    """Which one and how far, in words."""
    step: int = 0
    total: int = 0
    loss: float | None = None
    """Of the last step, nats per trained token."""
    val_loss: float | None = None
    """The last one, in the same unit."""


@dataclass
class TuningOver(Message, bubble=False):
    """All is trained and compared; or that was refused; with neither it was paused."""

    result: TuningResult | None = None
    error: UserError | None = None


def plan(
    project: Project, chosen: TrainingConfig, hardware: HardwareReport, data: DataReport | None
) -> TuningPlan:
    """Return what would be tried around the chosen settings, and what that takes.

    Args:
        project: with model and data.
        chosen: the settings that all others are compared with.
        hardware: what the machine has.
        data: what is known of the rows.

    Raises:
        UserError: model or data cannot be used.
    """
    chosen = chosen.updated({"model": project.model_name(chosen.model)})
    before = None
    with suppress(UserError):  # a file that nobody can go on with
        before = load_tuning(project)
    prepared = prepare(project, chosen, Values(), before, may_replace=True)
    price = price_tuning(project, chosen, prepared.tuning.candidates, hardware, data)
    return TuningPlan(chosen, prepared, price)


def tune(project: Project, planned: TuningPlan, stop: Event, post: Post) -> None:
    """Train the candidates and compare them; post how far that is and what came of it.

    Args:
        project: its present run is not touched.
        planned: what is tried.
        stop: set it to pause with a checkpoint after the step at hand.
        post: gets `TuningMoved` and at the end a `TuningOver`.
    """
    news = _News(planned, post)
    try:
        tuner = create_tuner(project, planned, stop, news.on_run, news.on_event)
        post(TuningOver(tuner.run()))
    except UserError as error:
        post(TuningOver(error=error))
    except Exception as defect:  # the dialog tells it; the app lives on
        post(TuningOver(error=logged_defect(defect)))


class _News:
    """Makes messages of what the trainer tells."""

    def __init__(self, planned: TuningPlan, post: Post) -> None:
        self._planned, self._post, self._pace = planned, post, Pace()
        self._at = TuningMoved("")

    def on_run(self, place: int, share: float) -> None:
        """Begin with a candidate."""
        tuning = self._planned.tuning
        label = tuning.candidates[place].label(self._planned.chosen)
        self._tell(TuningMoved(run_words(place, len(tuning.runs), label, share)), at_once=True)

    def on_event(self, event: TrainingEvent) -> None:
        """Keep what is shown of it."""
        at = self._at
        if isinstance(event, Started):
            self._tell(TuningMoved(at.run, event.step, event.total_steps), at_once=True)
        elif isinstance(event, StepDone):
            metrics = event.metrics
            self._tell(TuningMoved(at.run, metrics.step, at.total, metrics.loss, at.val_loss))
        elif isinstance(event, Evaluated):
            self._tell(TuningMoved(at.run, event.step, at.total, at.loss, event.val_loss), at_once=True)

    def _tell(self, moved: TuningMoved, at_once: bool = False) -> None:
        self._at = moved
        if self._pace.is_due(moved.run, at_once):
            self._post(moved)


def create_tuner(
    project: Project, planned: TuningPlan, stop: Event, on_run: OnRun, on_event: OnEvent
) -> CandidateTrainer:
    """Ready the tuner; what it computes it may compute only on the engine's thread."""
    from engine.tuning.tuner import Tuner

    return Tuner(project, planned.chosen, planned.tuning, stop, on_run, on_event)
