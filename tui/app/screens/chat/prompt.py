"""The field for questions: as many lines as the question has."""

from typing import ClassVar

from engine.i18n import _
from engine.sanitize import printable
from tui.app.screens.shared.line_input import fits, with_line_breaks

from textual.binding import Binding, BindingType
from textual.events import Key, Paste
from textual.message import Message
from textual.widgets import TextArea
from textual.widgets.text_area import EditResult, Location


class Prompt(TextArea):
    """Enter sends the text; a long line is wrapped, and a pasted text keeps its lines.

    What is hidden in a pasted text is shown, so that nothing is sent that was not seen.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "send", _("Send"), show=False, tooltip=_("Send the question"), id="prompt.send"),
        Binding(
            "ctrl+j,shift+enter,alt+enter",
            "new_line",
            _("New line"),
            show=False,
            tooltip=_("Begin another line of the question (also Shift+Enter, Alt+Enter)"),
            id="prompt.new_line",
        ),
        Binding("ctrl+u", "empty", _("Empty"), show=False, tooltip=_("Delete it all"), id="prompt.empty"),
    ]

    class Sent(Message):
        """The question is to be asked."""

        def __init__(self, prompt: "Prompt") -> None:
            super().__init__()
            self.prompt = prompt

        @property
        def control(self) -> "Prompt":
            """The field that was sent."""
            return self.prompt

    def __init__(self, placeholder: str) -> None:
        super().__init__(placeholder=placeholder, compact=True, highlight_cursor_line=False)

    async def _on_key(self, event: Key) -> None:
        """Leave Enter to the bindings: Textual makes it a line break."""
        if event.key == "enter":
            event.prevent_default()

    async def _on_paste(self, event: Paste) -> None:
        event.stop()
        if not fits(self, event.text):
            event.prevent_default()

    def _replace_via_keyboard(self, insert: str, start: Location, end: Location) -> EditResult | None:
        """Put a typed or pasted text, made visible, between two places."""
        return super()._replace_via_keyboard(printable(with_line_breaks(insert)), start, end)

    def offer(self, text: str) -> None:
        """Put in a question to be sent, unless another one is being written."""
        if not self.text:
            self.load_text(text)
            self.move_cursor(self.document.end)

    def action_send(self) -> None:
        """Tell the screen that the question is to be asked."""
        self.post_message(self.Sent(self))

    def action_empty(self) -> None:
        """Delete the whole question; Ctrl+Z brings it back."""
        self.select_all()
        self._replace_via_keyboard("", *self.selection)

    def action_new_line(self) -> None:
        """Begin another line."""
        self._replace_via_keyboard("\n", *self.selection)

    def _watch_show_vertical_scrollbar(self) -> None:
        """Wrap anew; in the midst of an undo Textual does so with the cursor still behind the end."""
        self.selection = self.selection
        super()._watch_show_vertical_scrollbar()
