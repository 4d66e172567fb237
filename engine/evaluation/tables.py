"""What an evaluation found as tables of words: the same cells on a terminal, on a screen and in a report."""

from collections.abc import Callable
from typing import NamedTuple

from engine import units
from engine.evaluation.results import Estimate, Evaluation, VariantResult
from engine.evaluation.sentences import label
from engine.i18n import _, number
from engine.units import nats, signed

_MANY = 1e6
"""Perplexities from which on are written with a power of ten."""

Cells = tuple[str, ...]


class Words(NamedTuple):
    """A table: as many cells in each row as there are heads; the first names the model."""

    heads: Cells
    rows: tuple[Cells, ...]


def losses_table(found: Evaluation) -> Words:
    """Return loss and perplexity of each model with their intervals, and its loss on general texts."""
    interval = number(0.95, ".0%")
    heads = (_("model"), _("loss"), interval, _("perplexity"), interval, _("general texts"))
    rows = (
        (
            label(result),
            nats(result.loss.value),
            _between(result.loss),
            _perplexity(result.perplexity.value),
            _between(result.perplexity, _perplexity),
            _general(result),
        )
        for result in found.variants
    )
    return Words(heads, tuple(rows))


def answers_table(found: Evaluation) -> Words:
    """Return the figures of each model's answers; no rows where nothing was asked."""
    heads = (_("model"), _("exact"), "F1", _("contains"), _("stop"), _("length"), _("loop"), _("copies"))
    rows = (
        (
            label(result),
            number(figures.exact, ".0%"),
            number(figures.f1, ".2f"),
            number(figures.contains, ".0%"),
            number(figures.stopped, ".0%"),
            f"{number(figures.length, '.1f')} x",
            number(figures.loops, ".0%"),
            number(figures.copies),
        )
        for result in found.variants
        if (figures := result.figures)
    )
    return Words(heads, tuple(rows))


def asked_words(found: Evaluation) -> str:
    """Say how many rows were answered, and how long an answer may be."""
    text = _("Answers to {n} of {rows}, each of at most {tokens}:")
    asked, rows = number(len(found.asked)), units.rows(len(found.lines))
    return text.format(n=asked, rows=rows, tokens=units.tokens(found.most_tokens))


def _between(estimate: Estimate, form: Callable[[float], str] = nats) -> str:
    """Return the ends of an interval, such as "1.18 – 1.32"; nothing where there is none."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f"{form(estimate.low)} – {form(estimate.high)}"


def _perplexity(value: float) -> str:
    """Return a perplexity with as many digits as tell something."""
    if value >= _MANY:
        return number(value, ".0e")
    return number(value, ".2f" if value < 10 else ".1f" if value < 100 else ",.0f")


def _general(result: VariantResult) -> str:
    """Return the loss on general texts, and its change against the base model: "3.10 (+0.02)"."""
    loss, change = nats(result.general.loss), result.general.change
    return loss if change is None else f"{loss} ({signed(change.loss.value, 2)})"
