"""The conversation of the chat, turn below turn."""

from collections.abc import Iterator

from engine.i18n import _
from tui.app.screens.chat.turn import ChatTurn, Speaker
from tui.app.screens.shared.copying import Copied, ToCopy

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

_HINT = _(
    "Write a question and press Enter; Ctrl+J begins another line of it.\n"
    "What was said before is sent along, Ctrl+N begins anew.\n"
    "Ctrl+R asks every line of data/prompts.txt."
)


class ChatLog(VerticalScroll, Copied, can_focus=False):
    """Shows the newest turn; how to begin where there is none."""

    DEFAULT_CSS = """
    ChatLog {
        height: 1fr;
        scrollbar-size-vertical: 1;
        #chat-hint { color: $muted; height: auto; }
    }
    """

    def compose(self) -> ComposeResult:
        """Yield how to begin."""
        yield Static(_HINT, id="chat-hint", markup=False)

    @property
    def last(self) -> ChatTurn:
        """The newest turn; there must be one."""
        return self.query(ChatTurn).last()

    def to_copy(self) -> Iterator[ToCopy]:
        """Yield what was said, the newest first."""
        for turn in reversed(self.query(ChatTurn)):
            yield ToCopy(_("question") if turn.speaker == "user" else _("reply"), turn.text)

    def add(self, turn: ChatTurn) -> None:
        """Append a turn and stay at the end."""
        self.query_one("#chat-hint").display = False
        self.mount(turn)
        self.anchor()

    def clear(self) -> None:
        """Show how to begin in place of the turns."""
        self.query(ChatTurn).remove()
        self.query_one("#chat-hint").display = True

    async def turn_of(self, speaker: Speaker) -> ChatTurn:
        """Return the turn that a speaker is writing; a new one where it has not begun."""
        if self.last.speaker != speaker:
            await self.mount(ChatTurn(speaker))
        return self.last
