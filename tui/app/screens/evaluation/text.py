"""What an evaluation found, as coloured text that wraps at any width."""

from collections.abc import Iterable, Iterator

from engine import units
from engine.evaluation.kept import KnownEvaluation
from engine.evaluation.results import VariantResult
from engine.evaluation.sentences import (
    Remark,
    answer_remarks,
    between,
    general_words,
    headline,
    label,
    perplexity_words,
    remarks_on_rows,
    verdicts,
)
from engine.i18n import _, number
from engine.symbols import SYMBOLS
from engine.units import moment, nats
from tui.app.screens.shared.verdict_line import STYLES

from textual.content import Content


def results_text(known: KnownEvaluation) -> Content:
    """Return rows, losses, verdicts and the figures of the answers, below each other."""
    found = known.found
    lines = [Content.styled(headline(found), "bold"), *_remarks(remarks_on_rows(found))]
    if not known.is_current:
        text = _("Made on {moment}; adapters, rows, model or settings have changed since.")
        lines.insert(0, _remark(Remark("warning", text.format(moment=moment(found.made)))))
    for result in found.variants:
        lines += [Content(""), *_losses(result)]
    lines += [Content(""), *_remarks(verdicts(found))]
    if found.asked:
        text = _("Answers to {n} of {rows}, each of at most {tokens}:").format(
            n=number(len(found.asked)),
            rows=units.rows(len(found.lines)),
            tokens=units.tokens(found.most_tokens),
        )
        lines += [Content(""), Content.styled(text, "bold")]
        lines += [line for result in found.variants for line in _answers(result)]
        lines += _remarks(answer_remarks(found))
    return Content("\n").join(lines)


def summary_line(known: KnownEvaluation | None) -> Content:
    """Return what the report says of an evaluation: its first verdict, or how to make one."""
    if known and known.is_current:
        return _remark(next(verdicts(known.found))) + Content.styled("  " + _("e shows all"), "$muted")
    if known:
        text = _("What it was evaluated with has changed: e shows that, and evaluates anew.")
    else:
        text = _("e evaluates it: is it better than its base model, beyond chance?")
    return _remark(Remark("note", text))


def _losses(result: VariantResult) -> Iterator[Content]:
    yield Content.styled(label(result), "bold")
    parts = [
        _("loss {loss}").format(loss=_with_interval(nats(result.loss.value), between(result.loss))),
        _("perplexity {perplexity}").format(
            perplexity=_with_interval(
                perplexity_words(result.perplexity.value), between(result.perplexity, perplexity_words)
            )
        ),
        _("general texts {loss}").format(loss=general_words(result)),
    ]
    yield Content("  " + " · ".join(parts))


def _with_interval(value: str, interval: str) -> str:
    """Return a figure with its 95 % interval behind it, such as "1.25 [1.18 – 1.32]"."""
    return f"{value} [{interval}]" if interval else value


def _answers(result: VariantResult) -> Iterator[Content]:
    figures = result.figures
    if figures is None:
        return
    yield Content.styled(label(result), "bold")
    parts = (
        (_("exact"), number(figures.exact, ".0%")),
        ("F1", number(figures.f1, ".2f")),
        (_("contains"), number(figures.contains, ".0%")),
        (_("stop"), number(figures.stopped, ".0%")),
        (_("length"), f"{number(figures.length, '.1f')} x"),
        (_("loop"), number(figures.loops, ".0%")),
        (_("copies"), number(figures.copies)),
    )
    yield Content("  " + " · ".join(f"{name} {value}" for name, value in parts))


def _remarks(remarks: Iterable[Remark]) -> Iterator[Content]:
    return map(_remark, remarks)


def _remark(remark: Remark) -> Content:
    return Content.assemble(" ", (SYMBOLS[remark.level], f"bold {STYLES[remark.level]}"), f" {remark.text}")
