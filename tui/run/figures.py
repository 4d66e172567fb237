"""The numbers of a run as the training screen shows them, worked out from its files."""

import math
from dataclasses import dataclass, field

from engine.analysis.chart_series import ChartData
from engine.analysis.facts import RunSummary
from engine.analysis.series import smooth, weight_of
from engine.analysis.summary import summary_of
from engine.project import Project
from engine.training.events import Usage
from engine.training.history import Floats, RunHistory
from engine.training.state import RunState
from tui.run.curves import finite
from tui.run.time_left import seconds_left, seconds_per_step, steps_made

import numpy as np
import psutil

_RECENT = 10
"""Steps over which a present value is averaged."""
_STEADY = 0.01
"""Relative change of the loss below which it counts as level."""


@dataclass(frozen=True)
class RunFigures:
    """One moment of a run; None where nothing was measured."""

    summary: RunSummary
    """What the report would say now."""
    swap_gb: float
    """Swap in use on this machine."""
    validation: float | None = None
    """The newest validation loss, NaN if not finite; at first that of the untrained adapter."""
    trend: int | None = None
    """Where the smoothed line of the plot goes at its end: -1 down, 1 up, 0 level; None for one point."""
    epoch: int = 1
    """Counted from 1, for people."""
    learning_rate: float | None = None
    grad_norm: float | None = None
    tokens_per_second: float | None = None
    """Median of the last 10 steps."""
    seconds_per_step: float | None = None
    """Mean of the last 50 steps of the present session, validations included."""
    seconds_left: float | None = None
    """Time that the remaining steps and validations take at the present pace."""
    steps_made: int = 0
    """Optimizer steps, that one included whose validation is under way."""
    usage: Usage = field(default_factory=Usage)
    """Of the present session, or the last one."""

    @property
    def num_epochs(self) -> int:
        """Epochs of the whole run."""
        return self.summary.num_epochs


def figures_of(project: Project, history: RunHistory, state: RunState | None) -> RunFigures:
    """Work out the figures of a run from its metrics and its state."""
    summary, swap = summary_of(project, history, state), psutil.swap_memory().used / 1e9
    usage, validation = state.usage if state else Usage(), summary.last_val_loss
    if summary.failed_at_end:
        validation = math.nan
    elif validation is None:
        validation = finite(summary.initial_val_loss)
    if not len(history):
        return RunFigures(summary, swap, validation, usage=usage)
    norms = history.points("grad_norm")[1]
    return RunFigures(
        summary=summary,
        swap_gb=swap,
        validation=validation,
        trend=_trend(_smoothed(history, summary.total_steps)),
        epoch=int(history.epoch[-1]) + 1,
        learning_rate=float(history.learning_rate[-1]),
        grad_norm=float(norms[-1]) if len(norms) else None,
        tokens_per_second=float(np.median(history.tokens_per_second[-_RECENT:])),
        seconds_per_step=seconds_per_step(history, state),
        seconds_left=seconds_left(history, state, summary.config),
        steps_made=steps_made(history, state),
        usage=usage,
    )


def _smoothed(history: RunHistory, total: int) -> Floats:
    """Return the smoothed line of the loss as the plot has it, of the steps whose loss was finite."""
    losses = history.points("loss")[1]
    return smooth(losses, weight_of(ChartData(history, total_steps=total).span(0)))


def _trend(line: Floats) -> int | None:
    """Compare the end of a line with where it was a twentieth of its length before, at least 10 points."""
    if len(line) < 2:
        return None
    before = float(line[-min(len(line), max(_RECENT, len(line) // 20))])
    change = float(line[-1]) / before - 1 if before else 0.0
    return 0 if abs(change) < _STEADY else (1 if change > 0 else -1)
