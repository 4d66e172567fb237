"""A question for the number of a line."""

from typing import ClassVar

from engine.i18n import _
from tui.app.screens.shared.dialog import Dialog
from tui.app.screens.shared.line_input import LineInput

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input

_DIGITS = 12


class LineNumberScreen(Dialog[int | None]):
    """Asks for a line from 1; Enter goes there, Escape stays."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", _("Leave"), id="line.leave"),
    ]

    def compose(self) -> ComposeResult:
        """Draw one small box."""
        with Vertical(classes="dialog line-number") as box:
            box.border_title = Content(_("Go to line"))
            box.border_subtitle = Content(_("Enter goes there, Esc leaves"))
            yield LineInput(
                placeholder=_("line"),
                restrict=r"[0-9]*",
                max_length=_DIGITS,
                refusal=_("A line number has digits only, at most {n}.").format(n=_DIGITS),
                compact=True,
            )

    @on(Input.Submitted)
    def _answer(self, event: Input.Submitted) -> None:
        self.dismiss(int(event.value) if event.value.strip("0") else None)
