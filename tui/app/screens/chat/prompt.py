"""The field for questions: as many lines as the question has, and those that were asked before."""

from typing import ClassVar

from engine.i18n import _
from tui.app.screens.chat.text_field import TextField

from textual.binding import Binding, BindingType
from textual.events import Key
from textual.message import Message

_MOST_KEPT = 200
"""Questions that can be gone back to."""


class Prompt(TextField):
    """Enter sends the text; Up in its first line and Down in its last go through earlier ones."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter",
            "send",
            _("Send"),
            show=False,
            tooltip=_("Send it (so does a line break of a paste, if the terminal does not mark pastes)"),
            id="prompt.send",
        ),
        Binding(
            "ctrl+j,shift+enter,alt+enter",
            "new_line",
            _("New line"),
            show=False,
            tooltip=_("Begin another line of the question (also Shift+Enter, Alt+Enter)"),
            id="prompt.new_line",
        ),
        Binding(
            "up",
            "cursor_up",
            _("Up"),
            show=False,
            tooltip=_("Go up; from the first line to the question before"),
            id="prompt.up",
        ),
        Binding(
            "down",
            "cursor_down",
            _("Down"),
            show=False,
            tooltip=_("Go down; from the last line to the question after"),
            id="prompt.down",
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
        super().__init__(placeholder=placeholder)
        self._asked: list[str] = []
        """What was asked, the newest last."""
        self._at = 0
        """Which of these is shown; their number stands for what is being written."""
        self._draft = ""
        """What was being written when the first of these was gone to."""

    async def _on_key(self, event: Key) -> None:
        """Leave Enter to the bindings: Textual makes it a line break."""
        if event.key == "enter":
            event.prevent_default()

    def offer(self, text: str) -> None:
        """Put in a question to be sent, unless another one is being written."""
        if not self.text:
            self._show(text)

    def keep(self) -> None:
        """Remember the question, which was sent, and empty the field."""
        if self._asked[-1:] != [self.text]:
            self._asked = [*self._asked, self.text][-_MOST_KEPT:]
        self._at, self._draft = len(self._asked), ""
        self.clear()

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

    def action_cursor_up(self, select: bool = False) -> None:
        """Go up; from the first line, as it is wrapped, to the question before."""
        if select or self._row > 0 or not self._at:
            super().action_cursor_up(select)
            return
        if self._at == len(self._asked):
            self._draft = self.text
        self._at -= 1
        self._show(self._asked[self._at])

    def action_cursor_down(self, select: bool = False) -> None:
        """Go down; from the last line to the question after, and at last to what was being written."""
        if select or self._row < self.wrapped_document.height - 1 or self._at == len(self._asked):
            super().action_cursor_down(select)
            return
        self._at += 1
        self._show(self._asked[self._at] if self._at < len(self._asked) else self._draft)

    @property
    def _row(self) -> int:
        """Row of the cursor in the text as it is wrapped."""
        return self.wrapped_document.location_to_offset(self.cursor_location).y

    def _show(self, text: str) -> None:
        self.load_text(text)
        self.move_cursor(self.document.end)
