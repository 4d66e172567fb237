"""The loss curves of several runs in one chart."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from engine.i18n import number
from tui.app.screens.shared.axes import (
    COLUMNS_PER_X_TICK,
    ROWS_PER_Y_TICK,
    TICK_ROWS,
    Colour,
    blank_plot,
    even_ticks,
    nice_ticks,
    tick_labels,
)
from tui.app.screens.shared.lines import Lines
from tui.run.curves import ChartCurves

import numpy as np
from rich.text import Text
from textual import work

_FLATTEST = 0.05
"""Least height of the plot as a share of the loss."""
_SMALLEST = (20, 4)


@dataclass(frozen=True)
class DrawnRun:
    """A run in the chart."""

    sign: str
    """One character that stands at its validations: a colour alone tells nothing."""
    curves: ChartCurves
    place: int
    """From 0, which has a colour."""


class OverlayPlot(Lines):
    """Smoothed training loss as a line, validations as the sign of the run, a colour for each."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *(f"overlay-plot--run{place}" for place in range(4)),
        "overlay-plot--axis",
    }
    DEFAULT_CSS = """
    OverlayPlot {
        height: 1fr;
        min-height: 4;
        .overlay-plot--run0 { color: #5fafd7; }
        .overlay-plot--run1 { color: #d7af5f; }
        .overlay-plot--run2 { color: #87af5f; }
        .overlay-plot--run3 { color: #d787af; }
        .overlay-plot--axis { color: $muted; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._runs: Sequence[DrawnRun] = ()

    def on_resize(self) -> None:
        """Draw to the new size."""
        self._redraw()

    def show(self, runs: Sequence[DrawnRun]) -> None:
        """Draw these runs."""
        self._runs = runs
        self._redraw()

    def colour(self, place: int) -> str:
        """Return the colour of a run."""
        return self.get_component_styles(f"overlay-plot--run{place}").color.hex

    @work(group="overlay-plot", exclusive=True, exit_on_error=False)
    async def _redraw(self) -> None:
        """Draw in a thread: that takes tens of milliseconds."""
        names = (*(f"run{place}" for place in range(4)), "axis")
        colours = [self.get_component_styles(f"overlay-plot--{name}").color.rgb for name in names]
        self.show_lines(await asyncio.to_thread(draw_runs, self._runs, *self.size, colours))


def draw_runs(runs: Sequence[DrawnRun], width: int, height: int, colours: Sequence[Colour]) -> list[Text]:
    """Return the lines of a chart of several runs; none where there is nothing to draw, or no room.

    Args:
        runs: what is drawn, the first on top.
        width: columns.
        height: lines.
        colours: of each run by its place, then of the axes.
    """
    runs = [run for run in runs if not run.curves.is_empty]
    if not runs or width < _SMALLEST[0] or height < _SMALLEST[1]:
        return []
    plot = blank_plot(width, height, colours[-1])
    for run in reversed(runs):
        line, checked = run.curves.smoothed, run.curves.validation
        if len(line.x):
            plot.plot(line.x.tolist(), line.y.tolist(), marker="braille", color=colours[run.place])
        if len(checked.x):
            plot.scatter(checked.x.tolist(), checked.y.tolist(), marker=run.sign, color=colours[run.place])
    low, high = _y_range(runs)
    last = max(1.0, *(run.curves.last for run in runs))
    plot.xlim(0.0, last)
    rows = height - TICK_ROWS
    high, ticks = even_ticks(low, high, rows, max(2, rows // ROWS_PER_Y_TICK))
    plot.ylim(low, high)
    plot.yticks(ticks, tick_labels(ticks))
    steps = [step for step in nice_ticks(0.0, last, max(2, width // COLUMNS_PER_X_TICK)) if step % 1 == 0]
    plot.xticks(steps, [number(step, ",.0f") for step in steps])
    return list(Text.from_ansi(plot.build()).split("\n"))[:height]


def _y_range(runs: Sequence[DrawnRun]) -> tuple[float, float]:
    """Return the lowest and highest loss of all lines; one that blew up does not flatten the others."""
    values = [np.concatenate((run.curves.smoothed.y, run.curves.validation.y)) for run in runs]
    low = min(float(found.min()) for found in values)
    usual = [float(np.percentile(found, 99)) for found in values]
    high = min(max(usual), 4 * float(np.median(usual)))
    missing = max(abs(high) * _FLATTEST, 1e-3) - (high - low)
    if missing > 0:
        low, high = low - missing / 2, high + missing / 2
    grain = 10.0 ** math.floor(math.log10(high - low)) / 2
    return math.floor(low / grain) * grain, math.ceil(high / grain) * grain
