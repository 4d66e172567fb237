"""What an evaluation found, as coloured text that wraps at any width."""

from collections.abc import Iterable, Iterator

from engine.evaluation.kept import KnownEvaluation
from engine.evaluation.sentences import (
    Remark,
    answer_remarks,
    headline,
    remarks_on_rows,
    verdicts,
)
from engine.evaluation.tables import Cells, answers_table, asked_words, losses_table
from engine.i18n import _
from engine.symbols import SYMBOLS
from engine.units import moment
from tui.app.screens.shared.verdict_line import STYLES

from textual.content import Content


def results_text(known: KnownEvaluation) -> Content:
    """Return rows, losses, verdicts and the figures of the answers, below each other."""
    found = known.found
    lines = [Content.styled(headline(found), "bold"), *_remarks(remarks_on_rows(found))]
    if not known.is_current:
        text = _("Made on {moment}; adapters, rows, model or settings have changed since.")
        lines.insert(0, _remark(Remark("warning", text.format(moment=moment(found.made)))))
    for row in losses_table(found).rows:
        lines += [Content(""), *_losses(row)]
    lines += [Content(""), *_remarks(verdicts(found))]
    if found.asked:
        lines += [Content(""), Content.styled(asked_words(found), "bold")]
        heads, rows = answers_table(found)
        lines += [line for row in rows for line in _answers(heads, row)]
        lines += _remarks(answer_remarks(found))
    return Content("\n").join(lines)


def summary_line(known: KnownEvaluation | None) -> Content:
    """Return what the report says of an evaluation: its first verdict, or how to make one."""
    if known and known.is_current:
        return _remark(next(verdicts(known.found))) + Content.styled("  " + _("more with e"), "$muted")
    if known:
        text = _("What it was evaluated with has changed: press e to see that evaluation and make another.")
    else:
        text = _("Press e to evaluate it: is it better than its base model, beyond chance?")
    return _remark(Remark("note", text))


def _losses(row: Cells) -> Iterator[Content]:
    name, loss, loss_between, perplexity, perplexity_between, general = row
    yield Content.styled(name, "bold")
    parts = [
        _("loss {loss}").format(loss=_with_interval(loss, loss_between)),
        _("perplexity {perplexity}").format(perplexity=_with_interval(perplexity, perplexity_between)),
        _("general texts {loss}").format(loss=general),
    ]
    yield Content("  " + " · ".join(parts))


def _with_interval(value: str, interval: str) -> str:
    """Return a figure with its 95 % interval behind it, such as "1.25 [1.18 – 1.32]"."""
    return f"{value} [{interval}]" if interval else value


def _answers(heads: Cells, row: Cells) -> Iterator[Content]:
    yield Content.styled(row[0], "bold")
    yield Content("  " + " · ".join(map(" ".join, zip(heads[1:], row[1:], strict=True))))


def _remarks(remarks: Iterable[Remark]) -> Iterator[Content]:
    return map(_remark, remarks)


def _remark(remark: Remark) -> Content:
    return Content.assemble(" ", (SYMBOLS[remark.level], f"bold {STYLES[remark.level]}"), f" {remark.text}")
