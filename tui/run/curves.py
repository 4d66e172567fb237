"""The curves of a chart, thinned to what a plot can show."""

import math
from dataclasses import dataclass, field

from engine.analysis.chart_series import Axis, Series
from engine.analysis.series import downsample
from tui.run.chart_view import ChartView

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

EMPTY: Floats = np.empty(0)
_GRAINS = 16
"""Into so many parts a view is divided; its ends move by whole ones, as all is drawn anew then."""


@dataclass(frozen=True)
class Curve:
    """Points of one curve; y is always finite."""

    x: Floats = field(default_factory=lambda: EMPTY)
    y: Floats = field(default_factory=lambda: EMPTY)


@dataclass(frozen=True)
class ChartCurves:
    """What a plot shows; y is in the unit of the quantity, such as nats per token."""

    steps: Curve = field(default_factory=Curve)
    smoothed: Curve = field(default_factory=Curve)
    validation: Curve = field(default_factory=Curve)
    best: Curve = field(default_factory=Curve)
    """One point, or none."""
    failed: Floats = field(default_factory=lambda: EMPTY)
    """Where a step or a validation was not finite."""
    first: float = 0.0
    last: float = 1.0
    """Ends of the x axis."""
    axis: Axis = "step"

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not (len(self.steps.x) or len(self.validation.x))


def curves_of(series: Series, view: ChartView, columns: int) -> ChartCurves:
    """Return the curves of a part of a run, thinned to `columns` of a plot: of each its extremes are kept."""
    first, last = _ends(series, view)
    begin = int(np.searchsorted(series.x, first))
    end = view.rows(len(series))[1]
    x, y = series.x[begin:end], series.y[begin:end]
    failed = x[np.isnan(y)]
    validation = best = Curve()
    if series.measure == "loss":
        validation, best = _validations(series, first, last)
        failed = np.concatenate((failed, series.at_steps(series.data.checked.failed)))
    return ChartCurves(
        steps=Curve(*downsample(x, y, columns)),
        smoothed=Curve(*downsample(x, series.smoothed[begin:end], columns)),
        validation=Curve(*downsample(validation.x, validation.y, columns)),
        best=best,
        failed=_one_a_column(failed[(failed >= first) & (failed <= last)], first, last, columns),
        first=first,
        last=last,
        axis=series.axis,
    )


def finite(loss: float | None) -> float | None:
    """Return a loss if there is one and it is finite."""
    return loss if loss is not None and math.isfinite(loss) else None


def _ends(series: Series, view: ChartView) -> tuple[float, float]:
    """Return where the x axis begins and ends: exactly what is frozen; else with room for steps to come."""
    begin, end = view.rows(len(series))
    if not len(series):
        return 0.0, float(max(series.data.total_steps, 1)) if series.axis == "step" else 1.0
    low, high = (float(series.x[begin]), float(series.x[end - 1]))
    if view.is_whole:
        low = 0.0
        if series.axis == "step":
            return low, max(high, float(series.data.total_steps), 1.0)
    if view.frozen is None:
        grain = _grain((high - low) / _GRAINS)
        low, high = math.floor(low / grain) * grain, math.ceil(high / grain) * grain
    if high <= low:  # one step
        low, high = low - 0.5, low + 0.5
    return low, high


def _grain(least: float) -> float:
    """Return the next larger of 1, 2, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(max(least, 1e-9)))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * 0.999)


def _validations(series: Series, first: float, last: float) -> tuple[Curve, Curve]:
    """Return the validations from one end to the other, that before the first step included, and the best."""
    data = series.data
    x, y = series.at_steps(data.checked.steps), data.checked.losses
    if len(x) != len(y):  # steps of the file are not in order
        return Curve(), Curve()
    if (initial := data.initial_val_loss) is not None:
        x, y = np.insert(x, 0, 0.0), np.insert(y, 0, initial)
    best = series.at_steps(() if data.best_step is None else (data.best_step,))
    at = Curve(best, np.full(len(best), data.checked.losses.min() if len(best) else 0.0))
    return _between(Curve(x, y), first, last), _between(at, first, last)


def _between(curve: Curve, first: float, last: float) -> Curve:
    kept = (curve.x >= first) & (curve.x <= last)
    return Curve(curve.x[kept], curve.y[kept])


def _one_a_column(x: Floats, first: float, last: float, columns: int) -> Floats:
    """Leave out what would be drawn over another."""
    places = np.round((x - first) / max(last - first, 1e-300) * columns)
    return x[np.unique(places, return_index=True)[1]]
