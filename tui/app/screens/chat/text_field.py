"""A text field of several lines."""

from typing import ClassVar

from engine.i18n import _
from engine.sanitize import printable
from tui.app.screens.shared.line_input import fits, with_line_breaks

from textual.binding import Binding, BindingType
from textual.events import Paste
from textual.widgets import TextArea
from textual.widgets.text_area import EditResult, Location


class TextField(TextArea):
    """A long line is wrapped, and a pasted text keeps its lines.

    What is hidden in a pasted text is shown, so that nothing is sent that was not seen.
    The cursor stands still: over SSH a blinking one costs half a kilobyte a second.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "ctrl+j,shift+enter,alt+enter",
            "new_line",
            _("New line"),
            show=False,
            tooltip=_("Begin another line of the text (also Shift+Enter, Alt+Enter)"),
            id="prompt.new_line",
        ),
    ]

    def __init__(self, text: str = "", *, placeholder: str = "") -> None:
        super().__init__(text, placeholder=placeholder, compact=True, highlight_cursor_line=False)
        self.cursor_blink = False

    async def _on_paste(self, event: Paste) -> None:
        event.stop()
        if not fits(self, event.text):
            event.prevent_default()

    def _replace_via_keyboard(self, insert: str, start: Location, end: Location) -> EditResult | None:
        """Put a typed or pasted text, made visible, between two places."""
        return super()._replace_via_keyboard(printable(with_line_breaks(insert)), start, end)

    def action_new_line(self) -> None:
        """Begin another line."""
        self._replace_via_keyboard("\n", *self.selection)

    def _watch_show_vertical_scrollbar(self) -> None:
        """Wrap anew; in the midst of an undo Textual does so with the cursor still behind the end."""
        self.selection = self.selection
        super()._watch_show_vertical_scrollbar()
