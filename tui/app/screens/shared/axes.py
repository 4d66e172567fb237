"""A plot with nothing in it yet, where its axes have numbers, and how these are written."""

import math

from engine.analysis.chart_series import Axis
from engine.i18n import number

from textual_plotext import Plot

Colour = tuple[int, int, int] | int | str
"""Red, green and blue; or the number of one of the terminal's own colours, or "default"."""

COLUMNS_PER_X_TICK, ROWS_PER_Y_TICK = 12, 2
MOST_Y_TICKS = 8
TICK_ROWS = 2
"""Lines below the curves: the axis and its numbers."""
_FEWEST_TICKS = 3
_MOST_RAISED = 8 / 7
"""Times the height of a plot that it is raised by for the sake of its ticks."""
_HARDLY_SEEN = 4
"""From so many rows between two ticks on one more or less is hardly seen."""
_MINUTE, _HOUR = 60.0, 3600.0


def blank_plot(width: int, height: int, axis: Colour) -> Plot:
    """Return a plot of so many cells whose background is the terminal's."""
    plot = Plot()
    plot.plotsize(width, height)
    plot._set_size(width, height)  # plotsize alone is ignored once a figure was built
    plot.canvas_color("default")
    plot.axes_color("default")
    plot.ticks_color(axis)
    plot.xaxes(True, False)
    plot.yaxes(True, False)
    return plot


def x_ticks(axis: Axis, low: float, high: float, count: int) -> tuple[list[float], list[str]]:
    """Return round numbers of an x axis, and how they are written."""
    unit, name = 1.0, ""
    if axis == "tokens":
        units = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
        unit, name = next(((size, letter) for size, letter in units if high >= 2 * size), (1.0, ""))
    elif axis == "time":
        unit, name = next(
            ((u, n) for u, n in ((_HOUR, " h"), (_MINUTE, " min")) if high >= 2 * u), (1.0, " s")
        )
    ticks = nice_ticks(low / unit, high / unit, count)
    if axis == "step":
        ticks = [tick for tick in ticks if tick % 1 == 0]
        return ticks, [number(tick, ",.0f") for tick in ticks]
    return [tick * unit for tick in ticks], [number(tick, "g") + name for tick in ticks]


def nice_ticks(low: float, high: float, count: int) -> list[float]:
    """Return at most about `count` round numbers (1, 2 or 5 times a power of ten apart) from low to high."""
    return _multiples(_distance(low, high, count), low, high)


def _distance(low: float, high: float, count: int) -> float:
    rough = max(high - low, 1e-9) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)


def _multiples(distance: float, low: float, high: float) -> list[float]:
    first, last = math.ceil(low / distance - 1e-9), math.floor(high / distance + 1e-9)
    return [round(index * distance, 12) for index in range(first, last + 1)]


def even_ticks(low: float, high: float, rows: int, count: int) -> tuple[float, list[float]]:
    """Return a higher end of a y axis, and ticks that are equally many rows apart on it, or nearly.

    The end is raised by a seventh at most. Where that is not enough, ticks are so far apart that a row more
    or less is hardly seen.

    Args:
        low: value of the lowest row.
        high: what the highest row has to show.
        rows: of the plot.
        count: most ticks, about.
    """
    for fewer in range(count, _FEWEST_TICKS - 1, -1):
        distance = _distance(low, high, fewer)
        ticks = _multiples(distance, low, high)
        apart = (rows - 1) * distance / (high - low)
        whole = math.floor(apart + 1e-9)
        if len(ticks) >= _FEWEST_TICKS and whole and apart <= _MOST_RAISED * whole:
            top = low + (rows - 1) * distance / whole
            return top, _multiples(distance, low, top)
        if len(ticks) >= _FEWEST_TICKS and whole >= _HARDLY_SEEN:
            return high, ticks
    return high, nice_ticks(low, high, count)


def tick_labels(ticks: list[float]) -> list[str]:
    """Write all ticks with the decimals that the finest one needs."""
    decimals = max((len(f"{tick:.12f}".rstrip("0").partition(".")[2]) for tick in ticks), default=0)
    return [number(tick, f",.{decimals}f") for tick in ticks]


def log_ticks(low: float, high: float) -> list[float]:
    """Return powers of ten from low to high, both above 0, and where these are few, 2 and 5 times them."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1, 2, 5) if len(powers) <= MOST_Y_TICKS // 2 else (1,)
    apart = -(-len(powers) // MOST_Y_TICKS) if len(factors) == 1 else 1
    ticks = [factor * 10.0**power for power in powers[::apart] for factor in factors]
    return [tick for tick in ticks if low <= tick <= high]
