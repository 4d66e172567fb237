"""A question with two answers."""

from typing import ClassVar

from engine.i18n import _
from tui.app.screens.shared.closing import Dialog

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static


class ConfirmScreen(Dialog[bool]):
    """Asks `question`; Enter or y is yes, Escape or n is no."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,y", "answer(True)", _("Yes"), id="confirm.yes"),
        Binding("escape,n,q", "answer(False)", _("No"), id="confirm.no"),
    ]

    def __init__(self, title: str, question: str, yes: str, no: str) -> None:
        super().__init__()
        self._texts = title, question, yes, no

    def compose(self) -> ComposeResult:
        """Draw one small box."""
        title, question, yes, no = self._texts
        keys = Content.assemble(
            ("Enter ", "bold $accent"), (yes, "$muted"), "   ", ("Esc ", "bold $accent"), (no, "$muted")
        )
        with Vertical(classes="dialog") as box:
            box.border_title = Content(title)
            yield Static(question, markup=False)
            yield Static(keys, classes="dialog-keys")

    def action_answer(self, answer: bool) -> None:
        """Close with the answer."""
        self.dismiss(answer)
