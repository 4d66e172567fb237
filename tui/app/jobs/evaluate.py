"""The evaluation of a run: on the engine's thread, it answers with messages."""

from dataclasses import dataclass
from threading import Event
from typing import Protocol

from engine.errors import UserError
from engine.evaluation.request import EvaluationRequest, OnProgress
from engine.evaluation.results import Evaluation
from engine.project import Project
from tui.app.jobs.machine_and_data import Post
from tui.app.jobs.pace import Pace
from tui.console import logged_defect

from textual.message import Message


class Evaluating(Protocol):
    """The part of `engine.evaluation.evaluator.Evaluator` that evaluating needs."""

    not_kept: str

    def run(self) -> Evaluation | None:
        """Return what was found; None if asked to stop before."""
        ...


@dataclass
class EvaluationMoved(Message, bubble=False):
    """So large a share of a stage is done."""

    stage: str
    share: float
    """0 to 1."""


@dataclass
class EvaluationOver(Message, bubble=False):
    """It was evaluated; or that was refused; with neither it was ended on request."""

    found: Evaluation | None = None
    not_kept: str = ""
    """Why what was found could not be kept; empty where it was."""
    error: UserError | None = None


def evaluate(project: Project, stop: Event, post: Post) -> None:
    """Compare base, best and last; post how far that is and what came of it.

    Args:
        project: whose run is evaluated.
        stop: set it to end the work after the row or the token at hand.
        post: gets `EvaluationMoved` and at the end an `EvaluationOver`.
    """
    pace = Pace()

    def on_progress(stage: str, share: float) -> None:
        if pace.is_due(stage):
            post(EvaluationMoved(stage, share))

    try:
        evaluator = create_evaluator(project, stop, on_progress)
        found = evaluator.run()
        post(EvaluationOver(found, evaluator.not_kept))
    except UserError as error:
        post(EvaluationOver(error=error))
    except Exception as defect:  # the dialog tells it; the app and a run that was trained live on
        post(EvaluationOver(error=logged_defect(defect)))


def create_evaluator(project: Project, stop: Event, on_progress: OnProgress) -> Evaluating:
    """Ready the evaluator; what it computes it may compute only on the engine's thread."""
    from engine.evaluation.evaluator import Evaluator

    return Evaluator(project, EvaluationRequest(), stop, on_progress)
