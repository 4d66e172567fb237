"""One answer in a box, with what changed in it since the one before."""

from typing import ClassVar

from engine import units
from engine.i18n import _
from engine.sanitize import one_line, printable
from engine.training.answers import Answer
from tui.app.screens.answers.look import Compared
from tui.app.screens.answers.timeline import step_name
from tui.app.screens.data.pair_row import marked

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static


class AnswerBox(VerticalScroll, inherit_bindings=False):
    """Scrolls up and down; the other arrows go through the steps."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "scroll_up", show=False),
        Binding("down", "scroll_down", show=False),
        Binding("pageup", "page_up", show=False),
        Binding("pagedown", "page_down", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(classes="panel answer-box")

    def compose(self) -> ComposeResult:
        """Yield the text."""
        yield Static()

    def show_alone(self, title: str, answer: Answer | None, without: str) -> None:
        """Show an answer as it is.

        Args:
            title: of the box.
            answer: to show.
            without: what to say where there is none.
        """
        text = Content(printable(answer.answer)) if answer else Content.styled(without, "$muted")
        self._show(title, answer, text)

    def show_compared(self, title: str, answer: Answer, before: Answer, compared: Compared) -> None:
        """Show an answer with its changes, and below it the one before.

        Args:
            title: of the box.
            answer: to show.
            before: the answer before it.
            compared: both, word by word.
        """
        name = _("the base model") if before.step is None else _("step {step}").format(step=step_name(before))
        now = Content("").join([marked(part) for part in compared.now])
        if answer.answer == before.answer:
            rest = Content.styled(_("The same as {before}.").format(before=name), "$muted")
        else:
            head = Content.styled(_("Before, {before}:").format(before=name) + "\n", "$muted")
            rest = head.append(Content("").join([marked(part) for part in compared.before]))
        self._show(title, answer, Content("\n\n").join([now, rest]))

    def _show(self, title: str, answer: Answer | None, text: Content) -> None:
        self.border_title = Content(one_line(title, 60))
        self.border_subtitle = Content(_ending(answer) if answer else "")
        self.query_one(Static).update(text)
        self.scroll_home(animate=False)


def _ending(answer: Answer) -> str:
    """Say how long an answer was and took, and whether it was cut."""
    seconds = _("{seconds:.1f} s").format(seconds=answer.seconds)
    if answer.end == "complete":
        return seconds
    return _("cut at {tokens}, {seconds}").format(tokens=units.tokens(answer.tokens), seconds=seconds)
