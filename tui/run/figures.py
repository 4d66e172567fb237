"""The numbers of a run as the training screen shows them, worked out from its files."""

import math
from dataclasses import dataclass, field

from engine.analysis.facts import RunSummary
from engine.analysis.series import bucket_means, downsample, smooth, smoothing_weight
from engine.analysis.summary import summary_of
from engine.analysis.validations import validations_of
from engine.config import TrainingConfig
from engine.project import Project
from engine.training.events import Usage
from engine.training.history import Floats, RunHistory
from engine.training.state import RunState
from tui.app.screens.train.loss_chart import Curve, LossCurves
from tui.run.pace import seconds_per_step

import numpy as np
import psutil

_RECENT = 10
"""Steps over which a present value is averaged."""
_SMOOTHED_LIKE = 200
"""A shorter run is smoothed like one of so many steps."""
_SMOOTHED_POINTS = 4000
"""A longer run is averaged down to at most so many points before it is smoothed."""
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
    """Mean of the last 50 steps, validations included."""
    usage: Usage = field(default_factory=Usage)
    """Of the present sitting, or the last one."""

    @property
    def num_epochs(self) -> int:
        """Epochs of the whole run."""
        return self.summary.num_epochs

    @property
    def seconds_left(self) -> float | None:
        """Time the remaining steps take at the present pace."""
        if self.seconds_per_step is None:
            return None
        return self.seconds_per_step * max(0, self.summary.total_steps - self.summary.steps)


def figures_of(project: Project, history: RunHistory, state: RunState | None) -> RunFigures:
    """Work out the figures of a run from its metrics and its state."""
    summary, swap = summary_of(project, history, state), psutil.swap_memory().used / 1e9
    usage, validation = state.usage if state else Usage(), summary.last_val_loss
    if summary.failed_at_end:
        validation = math.nan
    elif validation is None:
        validation = _finite(summary.initial_val_loss)
    if not len(history):
        return RunFigures(summary, swap, validation, usage=usage)
    norms = history.points("grad_norm")[1]
    return RunFigures(
        summary=summary,
        swap_gb=swap,
        validation=validation,
        trend=_trend(_smoothed(history, summary.total_steps).y),
        epoch=int(history.epoch[-1]) + 1,
        learning_rate=float(history.learning_rate[-1]),
        grad_norm=float(norms[-1]) if len(norms) else None,
        tokens_per_second=float(np.median(history.tokens_per_second[-_RECENT:])),
        seconds_per_step=seconds_per_step(history.elapsed_s),
        usage=usage,
    )


def curves_of(
    history: RunHistory, state: RunState | None, columns: int, config: TrainingConfig | None = None
) -> LossCurves:
    """Return the curves of a run, thinned to `columns` of a plot.

    Args:
        history: its steps.
        state: of it.
        columns: of the plot.
        config: the run's own, which tells where a validation that gave no number was due.
    """
    total = max(state.total_steps if state else 0, int(history.step[-1]) if len(history) else 1)
    steps, losses = history.points("loss")
    checked = validations_of(history, config, state)
    val_steps, val_losses = checked.steps, checked.losses
    best = val_losses.argmin() if len(val_losses) else 0
    best_point = Curve(val_steps[best : best + 1].astype(float), val_losses[best : best + 1])
    if state and (initial := _finite(state.initial_val_loss)) is not None:
        val_steps = np.insert(val_steps, 0, 0)
        val_losses = np.insert(val_losses, 0, initial)
    smoothed = _smoothed(history, total)
    return LossCurves(
        train=Curve(*downsample(steps, losses, columns)),
        smoothed=Curve(*downsample(smoothed.x, smoothed.y, columns)),
        validation=Curve(*downsample(val_steps, val_losses, columns)),
        best=best_point,
        total_steps=total,
        failed=checked.failed.astype(float),
    )


def _finite(loss: float | None) -> float | None:
    return loss if loss is not None and math.isfinite(loss) else None


def _smoothed(history: RunHistory, total: int) -> Curve:
    """Return the smoothed training loss of a run of `total` steps, before it is thinned for a plot."""
    steps, losses = history.points("loss")
    x, means = bucket_means(steps, losses, _SMOOTHED_POINTS)
    # The weight is that of the whole run, so that the line drawn already does not change.
    points = max(total, len(losses)) * len(means) / max(len(losses), 1)
    return Curve(x, smooth(means, smoothing_weight(max(int(points), _SMOOTHED_LIKE))))


def _trend(line: Floats) -> int | None:
    """Compare the end of a line with where it was a twentieth of its length before, at least 10 points."""
    if len(line) < 2:
        return None
    before = float(line[-min(len(line), max(_RECENT, len(line) // 20))])
    change = float(line[-1]) / before - 1 if before else 0.0
    return 0 if abs(change) < _STEADY else (1 if change > 0 else -1)
