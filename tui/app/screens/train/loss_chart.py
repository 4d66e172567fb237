"""Drawing the curves of a run as lines of coloured text."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from engine.i18n import number
from tui.app.screens.shared.axes import (
    COLUMNS_PER_X_TICK,
    MOST_Y_TICKS,
    ROWS_PER_Y_TICK,
    TICK_ROWS,
    Colour,
    blank_plot,
    even_ticks,
    log_ticks,
    nice_ticks,
    tick_labels,
    x_ticks,
)
from tui.run.curves import ChartCurves, Floats

import numpy as np
from rich.text import Text
from textual_plotext import Plot

Scale = Callable[[Floats], Floats]

_NARROWEST = 0.1
"""Least height of the plot as a share of the value: one point has no height, and noise is no news."""
_FLATTEST = 0.01
"""The same in the unit of the values, for those near 0."""
_LOWEST = 1e-4
"""A log scale begins here, or at the lowest value above 0: 0 has no logarithm and is at the lower edge."""
_WILD = 3
"""A line that goes so many times the usual spread above what is usual, after a spike, is cut off there."""
_SPIKE = 2
"""In a run's first steps also what is so many times the usual value above it is no spike."""
_MANY = 40
"""From so many steps on their extremes are left out of the axis where they would squeeze the rest."""
_WIDE = 4
"""From this ratio of the ends on a logarithmic scale ends at quarters of a decade."""


@dataclass(frozen=True)
class Colours:
    """Of each part of the plot."""

    train: Colour
    smoothed: Colour
    validation: Colour
    best: Colour
    axis: Colour
    cursor: Colour


@dataclass(frozen=True)
class Drawing:
    """A plot as text, and where in it which numbers are."""

    lines: list[Text]
    left: int
    """Cells before the first column of the curves."""
    columns: int
    rows: int
    x: tuple[float, float]
    """Values of the middle of the first and the last column."""
    y: tuple[float, float]
    """The same of the lowest and the highest row, after `scale`."""
    scale: Scale

    def column(self, x: float) -> int | None:
        """Return the cell of a value of the x axis; None if it is not to be seen."""
        place = _place(x, self.x, self.columns)
        return self.left + place if 0 <= place < self.columns else None

    def line(self, y: float) -> int:
        """Return the line of a value of the y axis; one beyond an edge is at the edge."""
        place = _place(float(self.scale(np.array([y]))[0]), self.y, self.rows)
        return self.rows - 1 - min(max(place, 0), self.rows - 1)

    def value(self, cell: int) -> float:
        """Return the value of the x axis at a cell."""
        low, high = self.x
        return low + (cell - self.left) * (high - low) / max(self.columns - 1, 1)

    def with_marks(self, marks: Iterable[tuple[int, int, str, Colour]]) -> list[Text]:
        """Return the lines with characters put in, each given by its line, cell, sign and colour."""
        lines = list(self.lines)
        for y, x, sign, colour in marks:
            line = lines[y]
            marked = Text(f"{line.plain[:x]}{sign}{line.plain[x + 1 :]}", line.style, spans=list(line.spans))
            marked.stylize(_style(colour), x, x + 1)
            lines[y] = marked
        return lines


def _style(colour: Colour) -> str:
    """Return a colour in rich's words."""
    if isinstance(colour, tuple):
        return "rgb({},{},{})".format(*colour)
    return f"color({colour})" if isinstance(colour, int) else colour


def _place(value: float, ends: tuple[float, float], count: int) -> int:
    """Return the column or row of a value, as the plotting library reckons it."""
    return math.floor(round(0.5 + (count - 1) * (value - ends[0]) / (ends[1] - ends[0]), 8))


def draw(curves: ChartCurves, is_log: bool, width: int, height: int, colours: Colours) -> Drawing:
    """Draw curves as `height` lines of `width` cells."""
    low, high = _y_range(curves, is_log)
    scale: Scale = _log_from(low) if is_log else _linear
    plot = blank_plot(width, height, colours.axis)
    count = min(MOST_Y_TICKS, max(2, (height - TICK_ROWS) // ROWS_PER_Y_TICK))
    ticks = log_ticks(low, high) if is_log else []
    labels = [number(tick, "g") for tick in ticks]
    if len(ticks) < 2:
        if is_log:
            ticks = nice_ticks(low, high, count)
        else:
            high, ticks = even_ticks(low, high, height - TICK_ROWS, count)
        labels = tick_labels(ticks)
    top = float(scale(np.array([high]))[0])
    _add_points(plot, curves, (low, high), scale, colours)
    _add_beyond(plot, curves, high, top, colours)
    bottom = float(scale(np.array([low]))[0])
    plot.xlim(curves.first, curves.last)
    plot.ylim(bottom, top)
    plot.yticks(scale(np.array(ticks)).tolist(), labels)
    plot.xticks(*x_ticks(curves.axis, curves.first, curves.last, max(2, width // COLUMNS_PER_X_TICK)))
    lines = list(Text.from_ansi(plot.build()).split("\n"))[:height]
    left = lines[-TICK_ROWS].plain.find("└") + 1
    return Drawing(
        lines, left, width - left, height - TICK_ROWS, (curves.first, curves.last), (bottom, top), scale
    )


def _y_range(curves: ChartCurves, is_log: bool) -> tuple[float, float]:
    """Return the lowest and highest value of all lines and of all but the wildest steps; both above 0."""
    lines = np.concatenate((curves.smoothed.y, curves.validation.y))
    lowest = _LOWEST
    if len(curves.steps.y):
        lines = _without_wild(lines, curves.steps.y)
        if is_log and (above := curves.steps.y[curves.steps.y > 0]).size:
            lowest = min(lowest, float(above.min()))
    low, high = (float(lines.min()), float(lines.max())) if len(lines) else (0.0, 1.0)
    missing = max(_NARROWEST * high, _FLATTEST) - (high - low)
    if missing > 0:
        low, high = low - missing / 2, high + missing / 2
    low, high = _rounded(low, high, lowest, is_log)
    return low, max(high, low + _FLATTEST)


def _without_wild(lines: Floats, steps: Floats) -> Floats:
    """Return what sets the ends of the axis; of a few steps, whose spread says little, nearly all."""
    if len(steps) < _MANY:
        low, high = np.percentile(steps, (25, 75))
        values, wild = np.concatenate((lines, steps)), high + max(_WILD * (high - low), _SPIKE * high)
        usual_values: Floats = values[values <= max(wild, _LOWEST)]
        return usual_values
    low, high = usual = np.percentile(steps, (1, 99))
    wild = high + _WILD * (high - low)
    return np.concatenate((lines[lines <= max(wild, _LOWEST)], usual))


def _rounded(low: float, high: float, lowest: float, is_log: bool) -> tuple[float, float]:
    """Round outwards in coarse steps: limits that move with each step would redraw every cell."""
    if is_log and high > _WIDE * max(low, lowest):
        decades = math.log10(max(low, lowest)), math.log10(high)
        return 10 ** (math.floor(4 * decades[0] + 1e-9) / 4), 10 ** (math.ceil(4 * decades[1] - 1e-9) / 4)
    grain = 10.0 ** math.floor(math.log10(high - low)) / 2
    return max(math.floor(low / grain + 1e-9) * grain, lowest), math.ceil(high / grain - 1e-9) * grain


def _linear(values: Floats) -> Floats:
    return values


def _log_from(lowest: float) -> Scale:
    """Return the logarithm of what is at least `lowest`; what is less is drawn there."""

    def log(values: Floats) -> Floats:
        logarithms: Floats = np.log10(np.maximum(values, lowest))
        return logarithms

    return log


def _add_points(
    plot: Plot, curves: ChartCurves, ends: tuple[float, float], scale: Scale, colours: Colours
) -> None:
    """Draw the curves, the most important last, so that it stays on top."""
    low, high = ends
    for curve, marker, colour, joined in (
        (curves.steps, "braille", colours.train, False),
        (curves.smoothed, "braille", colours.smoothed, True),
        (curves.validation, "○", colours.validation, False),
        (curves.best, "★", colours.best, False),
    ):
        # A line is drawn cell by cell, also outside: not as far as a spike of 1e38.
        y = np.clip(curve.y, 2 * low - high, 2 * high - low)
        if len(y):
            draw_points = plot.plot if joined else plot.scatter
            draw_points(curve.x.tolist(), scale(y).tolist(), marker=marker, color=colour)


def _add_beyond(plot: Plot, curves: ChartCurves, high: float, top: float, colours: Colours) -> None:
    """Mark at the upper edge what is higher than the plot, and what has no height as it was not finite."""
    for x, marker, colour in (
        (curves.steps.x[curves.steps.y > high], "↑", colours.train),
        (curves.validation.x[curves.validation.y > high], "↑", colours.validation),
        (curves.failed, "×", colours.validation),
    ):
        if len(x):
            plot.scatter(x.tolist(), [top] * len(x), marker=marker, color=colour)
