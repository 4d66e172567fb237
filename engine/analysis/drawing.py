"""What all charts of a run have in common: colours, curves, titles, axes and legends."""

from collections.abc import Callable, Sequence
from functools import partial
from textwrap import fill
from typing import TYPE_CHECKING

from engine.analysis.series import Floats, bucket_means, smooth, smoothing_weight
from engine.i18n import number
from engine.i18n.numbers import with_separators
from engine.training.history import Ints, RunHistory

import numpy as np

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colour-blind-safe palette of Okabe and Ito.
BLUE, VERMILION, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#5F6B7A"
COLUMNS = 700
"""Points per curve: about two for each pixel column of a panel."""
_TITLE_LETTERS = 64
"""Letters of a line of a title: as many as the narrowest panel has room for."""
_LEGEND_COLUMNS = 3
_LEGEND_DROP = 44 / 72
"""Inches from the x axis down to the legend: numbers and name of the axis stand between."""


def trend(x: Ints, y: Floats) -> tuple[Floats, Floats]:
    """Return the smoothed course of a curve, thinned to what a panel can show."""
    xs, means = bucket_means(x, y, 4 * COLUMNS)
    return bucket_means(xs, smooth(means, smoothing_weight(len(means))), COLUMNS)


def part_epochs(axes: "Axes", history: RunHistory) -> None:
    """Draw a dotted line where an epoch begins, unless there are too many."""
    starts = history.step[1:][np.diff(history.epoch) > 0]
    if len(starts) <= 20:
        for start in starts:
            axes.axvline(start - 0.5, color=GREY, lw=0.9, ls=":")


def dress(axes: "Axes", title: str, x_label: str, y_label: str) -> None:
    """Give a panel its title, labels and grid: the same look everywhere."""
    title = fill(title, _TITLE_LETTERS)
    axes.set_title(title, loc="left", fontsize=13, fontweight="bold", pad=10, parse_math=False)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(axis="y", color="#DDE2E8", lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.02)


def whole_steps(axes: "Axes") -> None:
    """Label the x axis with whole numbers such as 1,000."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True))
    axes.xaxis.set_major_formatter(lambda value, _place: number(value, ",.0f"))


def local_tick_labels(figure: "Figure") -> None:
    """Give the numbers on all axes the language's form; matplotlib knows only the process's locale."""
    from matplotlib.ticker import LogFormatter, ScalarFormatter

    def translated(label: Callable[[Sequence[float]], list[str]], ticks: Sequence[float]) -> list[str]:
        return [with_separators(text) for text in label(ticks)]

    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            for formatter in (axis.get_major_formatter(), axis.get_minor_formatter()):
                if isinstance(formatter, LogFormatter | ScalarFormatter):
                    formatter.format_ticks = partial(translated, formatter.format_ticks)


def legend(axes: "Axes", handles: "Sequence[Artist] | None" = None) -> None:
    """Explain the signs below the panel: inside, it would hide a curve wherever that may go."""
    from matplotlib.transforms import ScaledTranslation

    known = list(handles) if handles is not None else axes.get_legend_handles_labels()[0]
    axes.legend(
        handles=known,
        loc="upper left",
        bbox_to_anchor=(0.0, 0.0),
        bbox_transform=axes.transAxes + ScaledTranslation(0.0, -_LEGEND_DROP, axes.figure.dpi_scale_trans),
        ncols=_LEGEND_COLUMNS,
        borderaxespad=0.0,
        frameon=False,
    )
