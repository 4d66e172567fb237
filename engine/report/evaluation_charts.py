"""Charts of an evaluation: losses with their intervals, what each row gained, how it was answered."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from engine.analysis.drawing import BLUE, GREEN, GREY, VERMILION, dress, legend
from engine.evaluation.results import Evaluation, VariantResult
from engine.evaluation.sentences import label
from engine.i18n import _, number
from engine.report.blocks import Chart
from engine.report.svg import svg_chart

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LINE_INCHES, _FRAME_INCHES = 0.5, 1.6
"""Height of a model's line, and of all around the lines."""
_SHAPES = (("#FFFFFF", "////"), (BLUE, ""), (GREY, "xx"))
"""Colour and hatching of the bars of each model: they differ without colours, too."""


def evaluation_charts(found: Evaluation) -> Iterator[Chart]:
    """Yield the charts that there are figures for."""
    height = _FRAME_INCHES + _LINE_INCHES * len(found.variants)
    title = _("Loss of each model on the same rows, with 95 % intervals")
    yield svg_chart("evaluation_loss", title, partial(_losses, found=found), (8.0, height))
    for place, result in enumerate(found.variants[1:], start=1):
        title = _("What {name} changes of each row's loss, sorted").format(name=label(result))
        name = "evaluation_rows" if place == 1 else f"evaluation_rows_{place}"
        yield svg_chart(name, title, partial(_rows, found=found, result=result))
    if found.asked:
        title = _(
            "Shares of the answers of each model that are exact, hold what is wanted, and end by themselves"
        )
        yield svg_chart("evaluation_answers", title, partial(_answers, found=found))


def _losses(axes: "Axes", found: Evaluation) -> None:
    """Draw a point and its interval for each model, the first at the top."""
    for line, result in enumerate(found.variants):
        loss = result.loss
        low, high = (loss.value if end is None else end for end in (loss.low, loss.high))
        spread = [[loss.value - low], [high - loss.value]]
        axes.errorbar(
            [loss.value],
            [line],
            xerr=spread,
            fmt="o" if line else "s",
            color=BLUE if line else GREY,
            capsize=5,
        )
        text = number(loss.value, ".2f")
        axes.annotate(text, (loss.value, line), textcoords="offset points", xytext=(0, 7), ha="center")
    names = [label(result) for result in found.variants]
    dress(axes, _("Loss with its 95 % interval"), _("loss (nats per token)"), "")
    axes.set_yticks(range(len(names)), names, parse_math=False)
    axes.set_ylim(len(names) - 0.5, -0.7)
    axes.grid(axis="x", color="#DDE2E8", lw=0.8)


def _rows(axes: "Axes", found: Evaluation, result: VariantResult) -> None:
    """Draw a bar for each row, from what gained most to what gained least."""
    changes = np.sort(np.array(result.row_losses) - np.array(found.variants[0].row_losses))
    places = np.arange(1, len(changes) + 1)
    for shown, name, colour, hatch in (
        (changes < 0, _("better"), GREEN, ""),
        (changes >= 0, _("not better"), VERMILION, "////"),
    ):
        if shown.any():
            axes.bar(places[shown], changes[shown], width=1.0, color=colour, hatch=hatch, label=name)
    axes.axhline(0, color="#2B333B", lw=0.8)
    title = _("Change of each row's loss: {name} against the base model").format(name=label(result))
    dress(axes, title, _("rows, sorted"), _("nats per token"))
    legend(axes)


def _answers(axes: "Axes", found: Evaluation) -> None:
    """Draw three groups of bars, one bar a model."""
    kinds = (_("exact"), _("contains"), _("stop"))
    width = 0.8 / len(found.variants)
    for place, result in enumerate(found.variants):
        if figures := result.figures:
            colour, hatch = _SHAPES[place % len(_SHAPES)]
            shares = [100 * share for share in (figures.exact, figures.contains, figures.stopped)]
            at = np.arange(len(kinds)) + (place - (len(found.variants) - 1) / 2) * width
            axes.bar(at, shares, width, color=colour, hatch=hatch, edgecolor="#2B333B", label=label(result))
    dress(axes, _("Answers"), "", _("percent of the answers"))
    axes.set_xticks(range(len(kinds)), kinds)
    axes.set_ylim(0, 105)
    legend(axes)
    for text in axes.get_legend().get_texts():
        text.set_parse_math(False)
