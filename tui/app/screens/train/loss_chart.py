"""Drawing the loss curves as lines of coloured text."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from engine.i18n import number
from tui.run.curves import EMPTY, Floats, LossCurves

import numpy as np
from rich.text import Text
from textual_plotext import Plot

Colour = tuple[int, int, int]
Scale = Callable[[Floats], Floats]
View = Literal["all", "recent", "log"]

_COLUMNS_PER_X_TICK = 12
_ROWS_PER_Y_TICK = 2
_MOST_Y_TICKS = 8
_NARROWEST = 0.1
"""Least height of the plot as a share of the loss: one point has no height, and noise is no news."""
_FLATTEST = 0.01
"""The same in nats, for losses near 0."""
_LOWEST = 1e-4
"""Losses below this are drawn at the lower edge; a log scale needs more than 0."""


@dataclass(frozen=True)
class Colours:
    """Red, green and blue of each part of the plot."""

    train: Colour
    smoothed: Colour
    validation: Colour
    best: Colour
    axis: Colour


def draw(curves: LossCurves, view: View, width: int, height: int, colours: Colours) -> list[Text]:
    """Return `height` lines of `width` cells."""
    first, last = 0.0, float(max(curves.total_steps, 1))
    if view == "recent":
        last = curves.last_step
        first = math.floor(last * 2 / 3)
        curves = curves.since(first)
        last = max(last, first + 1)
    scale: Scale = _log if view == "log" else _linear
    plot = _blank_plot(width, height, colours)
    low, high = _y_range(curves)
    count = min(_MOST_Y_TICKS, max(2, (height - 2) // _ROWS_PER_Y_TICK))
    ticks = log_ticks(low, high) if view == "log" else []
    labels = [number(tick, "g") for tick in ticks]
    if len(ticks) < 2:
        ticks = nice_ticks(low, high, count)
        labels = _labels(ticks)
    _add_points(plot, curves, scale, colours)
    if len(curves.failed):  # they have no height: at the upper edge
        top = scale(np.full(len(curves.failed), high)).tolist()
        plot.scatter(curves.failed.tolist(), top, marker="×", color=colours.validation)
    plot.xlim(first, last)
    plot.ylim(*scale(np.array([low, high])).tolist())
    plot.yticks(scale(np.array(ticks)).tolist(), labels)
    steps = [step for step in nice_ticks(first, last, max(2, width // _COLUMNS_PER_X_TICK)) if step % 1 == 0]
    plot.xticks(steps, [number(step, ",.0f") for step in steps])
    return list(Text.from_ansi(plot.build()).split("\n"))[:height]


def nice_ticks(low: float, high: float, count: int) -> list[float]:
    """Return at most about `count` round numbers (1, 2 or 5 times a power of ten apart) from low to high."""
    rough = max(high - low, 1e-9) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    distance = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.ceil(low / distance - 1e-9), math.floor(high / distance + 1e-9)
    return [round(index * distance, 12) for index in range(first, last + 1)]


def _labels(ticks: list[float]) -> list[str]:
    """Write all ticks with the decimals that the finest one needs."""
    decimals = max((len(f"{tick:.12f}".rstrip("0").partition(".")[2]) for tick in ticks), default=0)
    return [number(tick, f".{decimals}f") for tick in ticks]


def log_ticks(low: float, high: float) -> list[float]:
    """Return the numbers 1, 2, 5 times powers of ten from low to high, both above 0."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    return [tick for tick in ticks if low <= tick <= high]


def _blank_plot(width: int, height: int, colours: Colours) -> Plot:
    plot = Plot()
    plot.plotsize(width, height)
    plot._set_size(width, height)  # plotsize alone is ignored once a figure was built
    plot.canvas_color("default")
    plot.axes_color("default")
    plot.ticks_color(colours.axis)
    plot.xaxes(True, False)
    plot.yaxes(True, False)
    return plot


def _y_range(curves: LossCurves) -> tuple[float, float]:
    """Return the lowest and highest loss of all lines and of all but the wildest training points."""
    lines = np.concatenate((curves.smoothed.y, curves.validation.y))
    points = np.percentile(curves.train.y, (1, 99)) if len(curves.train.y) else EMPTY
    values = np.concatenate((lines, points))
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    missing = max(_NARROWEST * high, _FLATTEST) - (high - low)
    if missing > 0:
        low, high = low - missing / 2, high + missing / 2
    # Rounded outwards in coarse steps: limits that move with each step would redraw every cell.
    grain = 10.0 ** math.floor(math.log10(high - low)) / 2
    low, high = math.floor(low / grain + 1e-9) * grain, math.ceil(high / grain - 1e-9) * grain
    return max(low, _LOWEST), high


def _linear(values: Floats) -> Floats:
    return values


def _log(values: Floats) -> Floats:
    logarithms: Floats = np.log10(np.maximum(values, _LOWEST))
    return logarithms


def _add_points(plot: Plot, curves: LossCurves, scale: Scale, colours: Colours) -> None:
    """Draw the curves, the most important last, so that it stays on top."""
    for curve, marker, colour, joined in (
        (curves.train, "braille", colours.train, False),
        (curves.smoothed, "braille", colours.smoothed, True),
        (curves.validation, "○", colours.validation, False),
        (curves.best, "★", colours.best, False),
    ):
        x, y = curve.x.tolist(), scale(curve.y).tolist()
        if x:
            (plot.plot if joined else plot.scatter)(x, y, marker=marker, color=colour)
