"""The report's section on the evaluation: losses with intervals, verdicts, answers beside each other."""

from collections.abc import Iterable, Iterator

from engine import units
from engine.evaluation.kept import known_evaluation
from engine.evaluation.results import Evaluation
from engine.evaluation.sentences import (
    Remark,
    answer_remarks,
    between,
    general_words,
    headline,
    label,
    perplexity_words,
    remarks_on_rows,
    row_change,
    verdicts,
    worst_and_best,
)
from engine.i18n import _, number
from engine.project import Project
from engine.report.blocks import Block, Command, Paragraph, Section, Table
from engine.report.evaluation_charts import evaluation_charts
from engine.sanitize import one_line
from engine.units import nats, signed

_LETTERS = 400
"""Of a question or an answer in a table."""


def evaluation_section(project: Project) -> Section:
    """Return what is known of the run's adapters, or how to know it."""
    known = known_evaluation(project)
    if known and known.is_current:
        return Section(_("Evaluation"), tuple(_found(known.found)))
    if known:
        text = _("Adapters, rows, model or settings have changed since this was evaluated. Evaluate it anew:")
    else:
        text = _(
            "It has not been evaluated yet: whether it is better than its base model beyond chance. Do so:"
        )
    return Section(_("Evaluation"), (Paragraph(text, "note"), Command("mqlora-tui eval")))


def _found(found: Evaluation) -> Iterator[Block]:
    yield Paragraph(headline(found))
    yield from _remarks(remarks_on_rows(found))
    yield _losses(found)
    yield from _remarks(verdicts(found))
    yield from evaluation_charts(found)
    if found.asked:
        text = _("Answers to {n} of {rows}, each of at most {tokens}:")
        asked, rows = number(len(found.asked)), units.rows(len(found.lines))
        yield Paragraph(text.format(n=asked, rows=rows, tokens=units.tokens(found.most_tokens)))
        yield _figures(found)
        yield from _remarks(answer_remarks(found))
        yield from _answered(found)


def _remarks(remarks: Iterable[Remark]) -> Iterator[Block]:
    return (Paragraph(remark.text, remark.level) for remark in remarks)


def _losses(found: Evaluation) -> Table:
    interval = number(0.95, ".0%")
    heads = (_("model"), _("loss"), interval, _("perplexity"), interval, _("general texts"))
    rows = (
        (
            label(result),
            nats(result.loss.value),
            between(result.loss),
            perplexity_words(result.perplexity.value),
            between(result.perplexity, perplexity_words),
            general_words(result),
        )
        for result in found.variants
    )
    return Table(heads, tuple(rows))


def _figures(found: Evaluation) -> Table:
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
    heads = (_("model"), _("exact"), "F1", _("contains"), _("stop"), _("length"), _("loop"), _("copies"))
    return Table(heads, tuple(rows))


def _answered(found: Evaluation) -> Iterator[Block]:
    """Yield the rows that gained least and most with the first adapter, both answers beside each other."""
    worst, best = worst_and_best(found)
    base, tuned = found.variants[:2]
    heads = (_("line"), _("nats a token"), _("asked"), _("wanted"), label(base), label(tuned))
    for title, places in (
        (_("Rows that gained least with {name}:"), worst),
        (_("Rows that gained most with {name}:"), best),
    ):
        if places:
            yield Paragraph(title.format(name=label(tuned)))
            rows = (
                (
                    number(found.lines[found.asked[place].row]),
                    signed(row_change(found, place), 2),
                    one_line(found.asked[place].question, _LETTERS),
                    one_line(found.asked[place].reference, _LETTERS),
                    one_line(base.answers[place].text, _LETTERS),
                    one_line(tuned.answers[place].text, _LETTERS),
                )
                for place in places
            )
            yield Table(heads, tuple(rows), is_numeric=False)
