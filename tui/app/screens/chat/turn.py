"""One turn of a conversation: who, what, and how fast it was written."""

from typing import Literal

from engine import units
from engine.chat import ReplyEnd
from engine.i18n import _
from engine.sanitize import printable
from tui.app.screens.chat.reply_text import ReplyText

from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.content import Content
from textual.widgets import Static

Speaker = Literal["user", "tuned", "base"]
_NAMES: dict[Speaker, str] = {"user": _("You"), "tuned": _("Tuned"), "base": _("Base")}
_WIDTH = max(7, *map(len, _NAMES.values())) + 1
"""Of the longest name, and a gap."""
_STYLES: dict[Speaker, str] = {"user": "bold", "tuned": "bold $accent", "base": "$muted"}


def end_words(end: ReplyEnd, tokens: int, has_text: bool) -> str:
    """Return what there is to say of a reply's end, and how to get more; nothing of one that is whole."""
    if end == "stopped":
        return _("stopped") if has_text else _("stopped; the question is left out from here on")
    if end == "length":
        return _("cut at {tokens}; Ctrl+T allows more").format(tokens=units.tokens(tokens))
    if end == "context":
        return _("cut: the model takes no more; Ctrl+N begins a new conversation")
    return "" if has_text else _("the model wrote nothing; the question is left out from here on")


class ChatTurn(Container):
    """Grows while the model writes; its text is never parsed as Textual's markup."""

    DEFAULT_CSS = """
    ChatTurn {
        layout: horizontal;
        height: auto;
        margin-bottom: 1;
        .chat-speaker { height: auto; }
        .chat-words { width: 1fr; height: auto; }
        .chat-remark { color: $muted; height: auto; }
        .chat-speed { width: auto; min-width: 18; margin-left: 2; text-align: right; color: $muted; }
    }
    """

    def __init__(self, speaker: Speaker, text: str = "", remark: str = "", is_plain: bool = False) -> None:
        super().__init__(classes=f"-{speaker}")
        self.speaker = speaker
        self.is_over = False
        """Whether nothing is written any more."""
        self._question = text
        self._reply = ReplyText(is_plain)
        self._remark = remark or ("" if text else _("…"))

    @property
    def text(self) -> str:
        """The turn as the model or user wrote it."""
        return self._question or self._reply.text

    @property
    def name_of_speaker(self) -> str:
        """Who says it."""
        return _NAMES[self.speaker]

    def compose(self) -> ComposeResult:
        """Yield speaker, text and speed."""
        speaker = Static(Content.styled(_NAMES[self.speaker], _STYLES[self.speaker]), classes="chat-speaker")
        speaker.styles.width = _WIDTH
        yield speaker
        with Vertical(classes="chat-words"):
            if self.speaker == "user":
                yield Static(Content(printable(self._question)), classes="chat-text")
            else:
                yield self._reply
            yield Static(Content(self._remark), classes="chat-remark")
        if self.speaker != "user":
            yield Static(classes="chat-speed", markup=False)

    def on_mount(self) -> None:
        """Take no line for a remark that there is not."""
        self.say(self._remark)

    def write(self, text: str, tokens: int, tokens_per_second: float) -> None:
        """Append what the model has written since."""
        self._reply.write(text)
        if self._remark:
            self.say("")
        speed = units.tokens(tokens)
        if tokens > 1:  # a rate needs two
            speed = _("{tokens} tok, {rate:,.0f} tok/s").format(tokens=tokens, rate=tokens_per_second)
        self.query_one(".chat-speed", Static).update(Content(speed))

    def say(self, remark: str) -> None:
        """Show a remark of the app below the text, in place of the one before."""
        self._remark = remark
        for shown in self.query(".chat-remark").results(Static):  # none before it is mounted
            shown.update(Content(remark))
            shown.display = bool(remark)

    def end(self, remark: str) -> None:
        """Say how the turn ended, if there is something to say."""
        self.is_over = True
        self.say(remark)

    def show_plain(self, is_plain: bool) -> None:
        """Show a reply as it was written, or laid out."""
        if self.speaker != "user":
            self._reply.show_plain(is_plain)
