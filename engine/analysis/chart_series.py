"""What a chart of a run shows: one quantity of its steps along an axis, smoothed, and as numbers."""

from dataclasses import dataclass, field
from typing import Literal

from engine.analysis.series import Floats, smooth, smoothing_span, weight_of
from engine.analysis.validations import Validations
from engine.training.history import Ints, RunHistory

import numpy as np

Measure = Literal["loss", "grad_norm", "tokens_per_second"]
"""A column of the metrics that is drawn over the steps."""
Axis = Literal["step", "tokens", "time"]
"""What the steps are laid out along: their number, the tokens so far, or the seconds of training so far."""
_SMOOTHED_LIKE = 200
"""A shorter run is smoothed like one of so many steps."""
_NO_STEPS: Ints = np.empty(0, np.int64)


@dataclass(frozen=True, eq=False)
class ChartData:
    """All of a run that its charts are drawn from."""

    history: RunHistory = field(default_factory=RunHistory)
    checked: Validations = field(default_factory=lambda: Validations(_NO_STEPS, np.empty(0), _NO_STEPS))
    initial_val_loss: float | None = None
    """Before the first step; None if it was not finite, too."""
    total_steps: int = 1
    checkpoints: tuple[int, ...] = ()
    """Their steps."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not len(self.history) and self.initial_val_loss is None

    @property
    def best_step(self) -> int | None:
        """Step with the lowest validation."""
        losses = self.checked.losses
        return int(self.checked.steps[losses.argmin()]) if len(losses) else None

    def span(self, level: int) -> float:
        """Return over how many steps the smoothed line averages.

        That is a twentieth of the whole run: what is drawn already does not change while the run goes on.

        Args:
            level: each doubles it; below 0 each halves it, at the lowest to 1 step, which smooths nothing.
        """
        steps = max(self.total_steps, len(self.history), _SMOOTHED_LIKE)
        return float(min(max(smoothing_span(steps) * 2.0**level, 1.0), steps))


@dataclass(frozen=True)
class Reading:
    """What was measured at one step."""

    step: int
    tokens: int
    """Of this step and all before it."""
    elapsed_s: float
    value: float
    """Of the quantity that is drawn; NaN where it was not finite."""
    smoothed: float
    validation: float | None
    """NaN where it was not finite, None where there was none."""
    learning_rate: float
    is_best: bool
    is_checkpoint: bool


@dataclass(frozen=True, eq=False)
class Series:
    """One quantity of a run, an entry for each of its steps."""

    data: ChartData
    measure: Measure
    axis: Axis
    span: float
    """Steps that the smoothed line averages over."""
    x: Floats
    """Never falls."""
    y: Floats
    """NaN where it was not finite."""
    smoothed: Floats
    """The average of `y`, see `engine.analysis.series.smooth`; NaN if `y` is nowhere finite."""

    def __len__(self) -> int:
        return len(self.y)

    def reading(self, row: int) -> Reading:
        """Return what was measured at a step, counted from 0."""
        history, step = self.data.history, int(self.data.history.step[row])
        validation = float(history.val_loss[row])
        failed = step in self.data.checked.failed
        return Reading(
            step=step,
            tokens=int(history.tokens[: row + 1].sum()),
            elapsed_s=float(history.elapsed_s[row]),
            value=float(self.y[row]),
            smoothed=float(self.smoothed[row]),
            validation=validation if np.isfinite(validation) else np.nan if failed else None,
            learning_rate=float(history.learning_rate[row]),
            is_best=step == self.data.best_step,
            is_checkpoint=step in self.data.checkpoints,
        )

    def at_steps(self, steps: Ints | tuple[int, ...]) -> Floats:
        """Return where on the axis the steps stand that the run has made; the others are left out."""
        known = self.data.history.step
        rows = np.searchsorted(known, np.asarray(steps, np.int64))
        rows = np.minimum(rows, len(known) - 1)
        return self.x[rows[known[rows] == steps]] if len(known) else np.empty(0)


def series_of(data: ChartData, measure: Measure = "loss", axis: Axis = "step", level: int = 0) -> Series:
    """Lay a quantity of a run out along an axis.

    Args:
        data: of the run.
        measure: the quantity.
        axis: to lay it out along.
        level: of smoothing, see `ChartData.span`.
    """
    history, span = data.history, data.span(level)
    y = np.asarray(getattr(history, measure), np.float64)
    y = np.where(np.isfinite(y), y, np.nan)
    smoothed = smooth(y, weight_of(span))
    if len(smoothed) != len(y):
        smoothed = np.full(len(y), np.nan)
    return Series(data, measure, axis, span, _along(history, axis), y, smoothed)


def _along(history: RunHistory, axis: Axis) -> Floats:
    match axis:
        case "step":
            x = history.step.astype(np.float64)
        case "tokens":
            x = np.cumsum(history.tokens, dtype=np.float64)
        case "time":
            x = history.elapsed_s
    # A file that was tampered with may go back; who looks for a place in it relies on the order.
    along: Floats = np.maximum.accumulate(x)
    return along


_LEAST_LINE = 24
"""Bytes that a line of numbers has at least."""
_MOST_VALIDATED = 200
"""Validations that are kept where steps are left out."""


def csv_of(series: Series, first: int, past: int, most_bytes: int) -> tuple[str, int]:
    """Return some steps as CSV, and of how many steps one is in it.

    Its columns are the step, the tokens and the seconds of training so far, what is drawn and the same
    smoothed, the validation loss, and the learning rate; a number that is not there or not finite is empty.
    Where that would be too long only every so many steps are in it, and those with a validation unless
    there are very many.

    Args:
        series: of the run.
        first: step to begin with, counted from 0.
        past: the one after the last.
        most_bytes: of the text, enough for its first line and some more.
    """
    every = max(1, -(-(past - first) * _LEAST_LINE // most_bytes))
    validated = first + np.flatnonzero(np.isfinite(series.data.history.val_loss[first:past]))
    while True:
        rows = np.arange(first, past, every)
        if len(validated) <= _MOST_VALIDATED:
            rows = np.union1d(rows, validated[:: max(1, every // (past - first))])
        text = _csv(series, rows)
        if len(text) <= most_bytes or len(rows) <= 2:
            return text, every
        every *= 2


def _csv(series: Series, rows: Ints) -> str:
    history = series.data.history
    columns = {
        "step": history.step[rows],
        "tokens": np.cumsum(history.tokens)[rows],
        "elapsed_s": history.elapsed_s[rows],
        series.measure: series.y[rows],
        f"{series.measure}_smoothed": series.smoothed[rows],
        "val_loss": history.val_loss[rows],
        "learning_rate": history.learning_rate[rows],
    }
    lines = zip(*(map(_number, values.tolist()) for values in columns.values()), strict=True)
    return "\n".join(map(",".join, [tuple(columns), *lines])) + "\n"


def _number(value: float) -> str:
    return (str(value) if isinstance(value, int) else f"{value:.7g}") if np.isfinite(value) else ""
