"""The loss curves of a run, thinned to what a plot can show."""

import math
from dataclasses import dataclass, field

from engine.analysis.series import bucket_means, downsample, smooth, smoothing_weight
from engine.analysis.validations import validations_of
from engine.config import TrainingConfig
from engine.training.history import RunHistory
from engine.training.state import RunState

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

EMPTY: Floats = np.empty(0)
_SMOOTHED_LIKE = 200
"""A shorter run is smoothed like one of so many steps."""
_SMOOTHED_POINTS = 4000
"""A longer run is averaged down to at most so many points before it is smoothed."""


@dataclass(frozen=True)
class Curve:
    """Points of one curve; y is always finite."""

    x: Floats = field(default_factory=lambda: EMPTY)
    y: Floats = field(default_factory=lambda: EMPTY)

    def since(self, start: float) -> "Curve":
        """Return the part at and after x = `start`."""
        kept = self.x >= start
        return Curve(self.x[kept], self.y[kept])


@dataclass(frozen=True)
class LossCurves:
    """What the plot shows; x is optimizer steps, y is mean cross-entropy per token in nats."""

    train: Curve = field(default_factory=Curve)
    smoothed: Curve = field(default_factory=Curve)
    validation: Curve = field(default_factory=Curve)
    best: Curve = field(default_factory=Curve)
    """One point, or none before the first validation."""
    total_steps: int = 1
    failed: Floats = field(default_factory=lambda: EMPTY)
    """Steps whose validation was not finite."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not len(self.train.x) and not len(self.validation.x)

    @property
    def last_step(self) -> float:
        """Newest step with a point; 0 before the first."""
        return max(
            (float(curve.x[-1]) for curve in (self.train, self.validation) if len(curve.x)), default=0.0
        )

    def since(self, start: float) -> "LossCurves":
        """Return the curves from step `start` on."""
        return LossCurves(
            self.train.since(start),
            self.smoothed.since(start),
            self.validation.since(start),
            self.best.since(start),
            self.total_steps,
            self.failed[self.failed >= start],
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
    if state and (initial := finite(state.initial_val_loss)) is not None:
        val_steps = np.insert(val_steps, 0, 0)
        val_losses = np.insert(val_losses, 0, initial)
    line = smoothed(history, total)
    return LossCurves(
        train=Curve(*downsample(steps, losses, columns)),
        smoothed=Curve(*downsample(line.x, line.y, columns)),
        validation=Curve(*downsample(val_steps, val_losses, columns)),
        best=best_point,
        total_steps=total,
        failed=checked.failed.astype(float),
    )


def finite(loss: float | None) -> float | None:
    """Return a loss if there is one and it is finite."""
    return loss if loss is not None and math.isfinite(loss) else None


def smoothed(history: RunHistory, total: int) -> Curve:
    """Return the smoothed training loss of a run of `total` steps, before it is thinned for a plot."""
    steps, losses = history.points("loss")
    x, means = bucket_means(steps, losses, _SMOOTHED_POINTS)
    # The weight is that of the whole run, so that the line drawn already does not change.
    points = max(total, len(losses)) * len(means) / max(len(losses), 1)
    return Curve(x, smooth(means, smoothing_weight(max(int(points), _SMOOTHED_LIKE))))
