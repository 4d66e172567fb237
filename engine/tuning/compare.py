"""Comparing the runs of a tuning on the same rows. Imports MLX."""

from threading import Event as StopEvent
from typing import Any

from engine.analysis.noise import Difference, difference, known_rows
from engine.analysis.summary import summarise
from engine.config import TrainingConfig
from engine.errors import UserError
from engine.evaluation.evaluator import Evaluator
from engine.evaluation.request import EvaluationRequest
from engine.evaluation.results import Change
from engine.evaluation.statistics import resample
from engine.project import Project
from engine.shell import ended
from engine.training.validation_rows import RowLosses
from engine.tuning.result import Outcome, Tried, TuningResult
from engine.tuning.state import Tuning

import numpy as np


def result_of(
    project: Project, chosen: TrainingConfig, tuning: Tuning, finals: list[int], stop: StopEvent
) -> TuningResult | None:
    """Compare the candidates; None if asked to stop before held-out rows are scored.

    Args:
        project: with the data.
        chosen: the settings that are chosen.
        tuning: what was tried.
        finals: places of the candidates that were trained to the end.
        stop: set it to end the work.
    """
    projects = tuning.projects(project)
    tried = tuple(
        _tried(run, candidate.label(chosen), candidate.values, each.folder, place in finals)
        for place, (run, candidate, each) in enumerate(
            zip(projects, tuning.candidates, tuning.runs, strict=True)
        )
    )
    best = min(finals, key=lambda place: (tried[place].loss is None, tried[place].loss or 0.0, place))
    gain = difference(_best_rows(projects[0]), _best_rows(projects[best])) if best else None
    held_out, untold = None, ""
    if best and project.test_file.exists():
        try:
            held_out = _held_out(projects[0], projects[best], stop)
        except UserError as error:  # what was trained is compared all the same
            untold = ended(error.problem)
        if held_out is None and not untold:
            return None
    return TuningResult(tried, best, _outcome(best, gain), gain, held_out, untold)


def _tried(run: Project, label: str, values: dict[str, Any], folder: str, is_final: bool) -> Tried:
    try:
        summary = summarise(run)
    except UserError:  # it broke before its first step
        return Tried(label, values, folder, 0, 0, is_final, None, 0.0)
    return Tried(
        label,
        values,
        folder,
        summary.steps,
        summary.total_steps,
        is_final,
        summary.best_val_loss,
        summary.duration_s,
    )


def _best_rows(run: Project) -> RowLosses | None:
    """Return what the best validation of a run lost on each row; None if not known."""
    summary = summarise(run)
    if summary.best_step is None or summary.best_val_loss is None:
        return None
    return known_rows(run, {summary.best_step: summary.best_val_loss}).get(summary.best_step)


def _outcome(best: int, gain: Difference | None) -> Outcome:
    if not best:
        return "chosen"
    return "better" if gain and not gain.is_chance and gain.mean > 0 else "chance"


def _held_out(chosen: Project, best: Project, stop: StopEvent) -> Change | None:
    """Compare the best adapters of two runs on the held-out rows, each row with itself; None if stopped.

    Raises:
        UserError: the rows cannot be used, or an adapter is gone.
    """
    found = [Evaluator(run, EvaluationRequest(answers=0), stop).run() for run in (chosen, best)]
    if not all(found) or stop.is_set():
        return None
    one, other = (each for each in found if each)
    tokens = np.asarray(one.trained_tokens, np.int64)
    losses = np.array([each.variants[1].row_losses for each in (one, other)])
    return resample(losses * tokens, tokens).change(1)
