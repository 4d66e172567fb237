"""The report's section on the evaluation: losses with intervals, verdicts, answers beside each other."""

from collections.abc import Iterable, Iterator

from engine.evaluation.kept import known_evaluation
from engine.evaluation.results import Evaluation
from engine.evaluation.sentences import (
    Remark,
    answer_remarks,
    headline,
    label,
    remarks_on_rows,
    row_change,
    verdicts,
    worst_and_best,
)
from engine.evaluation.tables import answers_table, asked_words, losses_table
from engine.i18n import _, number
from engine.project import Project
from engine.report.blocks import Block, Command, Paragraph, Section, Table
from engine.report.evaluation_charts import evaluation_charts
from engine.sanitize import one_line
from engine.units import signed

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
    yield Table(*losses_table(found))
    yield from _remarks(verdicts(found))
    yield from evaluation_charts(found)
    if found.asked:
        yield Paragraph(asked_words(found))
        yield Table(*answers_table(found))
        yield from _remarks(answer_remarks(found))
        yield from _answered(found)


def _remarks(remarks: Iterable[Remark]) -> Iterator[Block]:
    return (Paragraph(remark.text, remark.level) for remark in remarks)


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
