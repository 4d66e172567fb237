"""One answered row: what was asked and wanted, and the answers of the base model and of an adapter."""

from collections.abc import Iterator

from engine.evaluation.results import Evaluation
from engine.evaluation.sentences import label, row_change, worst_and_best
from engine.i18n import _, ngettext
from engine.sanitize import printable
from engine.units import signed

from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.widgets import Static

_LETTERS = 2_000
"""Of a question or an answer that are shown."""


class AnsweredRow(Container):
    """Both answers beside each other where there is room, else below each other."""

    def __init__(self, found: Evaluation, place: int) -> None:
        """Prepare it.

        Args:
            found: the evaluation.
            place: of the row in `Evaluation.asked`.
        """
        super().__init__(classes="answered-row")
        self._found, self._place = found, place

    def compose(self) -> ComposeResult:
        """Yield the question and the wanted answer, then the two that were given."""
        found, place = self._found, self._place
        asked, (base, tuned) = found.asked[place], found.variants[:2]
        title = _("line {line}, {change} nats a token").format(
            line=found.lines[asked.row], change=signed(row_change(found, place), 2)
        )
        yield Static(Content.styled(title, "$accent"), classes="answered-title")
        yield Static(_said(_("asked"), asked.question))
        yield Static(_said(_("wanted"), asked.reference))
        yield Static(_said(label(base), base.answers[place].text))
        yield Static(_said(label(tuned), tuned.answers[place].text))


def answered_rows(found: Evaluation) -> Iterator[Static | AnsweredRow]:
    """Yield the rows that gained least and most with the first adapter, each group below its title."""
    if not found.asked or len(found.variants) < 2:
        return
    worst, best = worst_and_best(found)
    name = label(found.variants[1])
    for places, title in (
        (worst, _("Rows that gained least with {name}:")),
        (best, _("Rows that gained most with {name}:")),
    ):
        if places:
            yield Static(Content.styled(title.format(name=name), "bold"), classes="answered-group")
            yield from (AnsweredRow(found, place) for place in places)


def _said(who: str, text: str) -> Content:
    cut = printable(text[:_LETTERS]).strip()
    more = len(text) - _LETTERS
    if more > 0:
        cut += " " + ngettext("… and {n} character", "… and {n} characters", more).format(n=more)
    return Content.assemble((f"{who}: ", "$muted"), cut)
