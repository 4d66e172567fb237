"""One turn of a conversation: who, what, and how fast it was written."""

from typing import Literal

from engine.i18n import _
from engine.text import printable

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Static

Speaker = Literal["user", "tuned", "base"]
_NAMES: dict[Speaker, str] = {"user": _("You"), "tuned": _("Tuned"), "base": _("Base")}
_STYLES: dict[Speaker, str] = {"user": "bold", "tuned": "bold $accent", "base": "$muted"}


class ChatTurn(Horizontal):
    """Grows while the model writes; its text is shown as it is, never as markup."""

    DEFAULT_CSS = """
    ChatTurn {
        height: auto;
        margin-bottom: 1;
        .chat-speaker { width: 8; }
        .chat-text { width: 1fr; }
        .chat-speed { width: auto; min-width: 18; margin-left: 2; text-align: right; color: $muted; }
    }
    """

    def __init__(self, speaker: Speaker, text: str = "") -> None:
        super().__init__(classes=f"-{speaker}")
        self.speaker = speaker
        self.text = text
        """The turn as the model or user wrote it."""

    def compose(self) -> ComposeResult:
        """Yield speaker, text and speed."""
        yield Static(Content.styled(_NAMES[self.speaker], _STYLES[self.speaker]), classes="chat-speaker")
        waiting = Content.styled(_("…"), "$muted")
        yield Static(Content(printable(self.text)) if self.text else waiting, classes="chat-text")
        if self.speaker != "user":
            yield Static(classes="chat-speed", markup=False)

    def write(self, text: str, tokens: int, tokens_per_second: float) -> None:
        """Append what the model has written since."""
        self.text += text
        self.query_one(".chat-text", Static).update(Content(printable(self.text.strip())))
        speed = _("{tokens} tok, {rate:.0f} tok/s").format(tokens=tokens, rate=tokens_per_second)
        self.query_one(".chat-speed", Static).update(Content(speed))

    def say(self, remark: str) -> None:
        """Show a remark of the app in place of the text, such as that the model is being loaded."""
        self.query_one(".chat-text", Static).update(Content.styled(remark, "$muted"))
