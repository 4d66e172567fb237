"""What training on the data means in numbers: tokens, cuts, steps and hours."""

from engine import units
from engine.dataset.report import DataReport, TokenFigures
from engine.i18n import _, ngettext, number
from engine.profiles import Offer
from engine.symbols import spark
from engine.units import duration

from textual.content import Content


def figures(report: DataReport, limit: int, offers: tuple[Offer, ...], is_tall: bool) -> Content:
    """Draw the lengths of the training examples; say what is cut, and what an epoch and a run cost.

    Args:
        report: of the data.
        limit: `max_seq_length`.
        offers: the profiles with their duration.
        is_tall: there is room to draw the lengths of prompts and answers too.
    """
    tokens = report.train.tokens
    if tokens is None:
        return Content.styled(_why_none(report), "$muted")
    lengths = _lengths(tokens) if is_tall else [_length(_("tokens"), tokens.histogram, _range(tokens))]
    return Content("\n").join([*lengths, _sums(report, tokens, limit), _hours(offers)])


def _why_none(report: DataReport) -> str:
    if not report.train.rows:
        return _("No rows yet. i imports a table, an array or another form of data.")
    if report.model and report.stage != "counted":
        return _("The tokens are not counted yet.")
    return _("Token figures need a base model and a usable row.")


def _lengths(tokens: TokenFigures) -> list[Content]:
    """Draw prompt, answer and whole above each other on one scale."""
    names = _("prompt"), _("answer"), _("both")
    width = max(len(name) for name in names)
    histograms = tokens.prompt_histogram, tokens.completion_histogram, tokens.histogram
    tails = "", "", _range(tokens)
    return [
        _length(name.ljust(width), histogram, tail)
        for name, histogram, tail in zip(names, histograms, tails, strict=True)
    ]


def _length(name: str, histogram: tuple[int, ...], tail: str) -> Content:
    return Content.assemble((f"{name} ", "$muted"), ("0 ", "$muted"), (spark(histogram), "$accent"), tail)


def _range(tokens: TokenFigures) -> str:
    share = 100 * tokens.trained / tokens.total if tokens.total else 0.0
    rest = _("median {median}, {share:.0f} % trained").format(median=number(tokens.median), share=share)
    return f" {number(tokens.longest)} {_('tokens')}, {rest}"


def _sums(report: DataReport, tokens: TokenFigures, limit: int) -> Content:
    """Say what `max_seq_length` cuts, and what an epoch is."""
    rows = len(tokens.truncated_lines)
    if rows:
        text = ngettext(
            "{rows} row cut at {limit}: {cut} tokens lost",
            "{rows} rows cut at {limit}: {cut} tokens lost",
            rows,
        )
        cut = text.format(rows=number(rows), limit=number(limit), cut=number(tokens.cut))
    else:
        cut = _("nothing cut at {limit}").format(limit=number(limit))
    epoch = _("an epoch: {steps}, {tokens}").format(
        steps=units.steps(report.steps_per_epoch), tokens=units.tokens(tokens.total)
    )
    return Content.assemble((cut, "$warning" if rows else ""), f" · {epoch}")


def _hours(offers: tuple[Offer, ...]) -> Content:
    """Say how long a run takes in each profile."""
    known = [(offer.name, offer.seconds) for offer in offers if offer.seconds is not None]
    if not known:
        unknown = _("a run: ? hours, known after the first one here or when measured (2, then m)")
        return Content.styled(unknown, "$muted")
    hours = " · ".join(f"{name} {duration(seconds)}" for name, seconds in known)
    return Content(_("a run: {hours}").format(hours=hours))
