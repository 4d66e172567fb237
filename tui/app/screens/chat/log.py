"""The conversation of the chat, turn below turn; the two answers to a question beside each other."""

from collections.abc import Iterator

from engine.i18n import _
from tui.app.screens.chat.turn import ChatTurn, Speaker
from tui.app.screens.shared.copying import Copied, ToCopy

from textual.app import ComposeResult
from textual.containers import Container, VerticalScroll
from textual.widgets import Static

_HINT = _(
    "Write a question and press Enter; Ctrl+J begins another line of it, Up brings earlier questions back. "
    "What was said before is sent along, Ctrl+N begins anew.\n"
    "Ctrl+R asks every line of data/prompts.txt.\n"
    "Esc leaves the line: then k chooses a checkpoint, and of the last reply c makes a copy and s a row of "
    "training data; ? lists all keys."
)


class Answers(Container):
    """The answers to one question: beside each other where there is room, else below."""

    DEFAULT_CSS = """
    Answers {
        layout: vertical;
        height: auto;
    }
    """


class ChatLog(VerticalScroll, Copied, can_focus=False):
    """Shows the newest turn; how to begin where there is none."""

    DEFAULT_CSS = """
    ChatLog {
        height: 1fr;
        scrollbar-size-vertical: 1;
        #chat-hint { color: $muted; height: auto; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self.is_plain = False
        """Whether replies are shown as they were written."""

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

    @property
    def reply(self) -> str:
        """The newest reply as it was written, of two the tuned model's; empty before it begins."""
        turns = self.query(Answers).last().query(ChatTurn)
        return turns.first().text.strip() if turns else ""

    def add(self, question: str, both: bool, remark: str) -> None:
        """Append a question and stay at the end.

        Args:
            question: that was asked.
            both: whether two answers may come.
            remark: of the app on it.
        """
        self.query_one("#chat-hint").display = False
        self.mount(ChatTurn("user", question, remark), Answers(classes="-both" if both else ""))
        self.anchor()

    def clear(self) -> None:
        """Show how to begin in place of the turns."""
        self.remove_children("ChatTurn, Answers")
        self.query_one("#chat-hint").display = True

    async def turn_of(self, speaker: Speaker) -> ChatTurn:
        """Return the turn that a speaker is writing; a new one where it has not begun."""
        answers = self.query(Answers).last()
        for turn in answers.query(ChatTurn):
            if turn.speaker == speaker:
                return turn
        turn = ChatTurn(speaker, is_plain=self.is_plain)
        await answers.mount(turn)
        return turn

    def toggle_plain(self) -> None:
        """Show all replies as they were written, or laid out."""
        self.is_plain = not self.is_plain
        for turn in self.query(ChatTurn):
            turn.show_plain(self.is_plain)

    @property
    def said(self) -> str:
        """The whole conversation as plain text."""
        return "\n\n".join(f"{turn.name_of_speaker}: {turn.text.strip()}" for turn in self.query(ChatTurn))
