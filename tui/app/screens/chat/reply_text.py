"""The text of a reply: its Markdown laid out block by block while it is written, or as it was written."""

from engine.sanitize import printable
from tui.app.screens.chat.markdown import blocks_of, laid_out

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.visual import VisualType
from textual.widgets import Static


class ReplyText(Vertical):
    """Only the block that is being written is laid out, and sent to the terminal, again."""

    DEFAULT_CSS = """
    ReplyText {
        height: auto;
        Static { height: auto; }
        .reply-block { margin-bottom: 1; }
    }
    """

    def __init__(self, is_plain: bool) -> None:
        super().__init__(classes="chat-text")
        self.text = ""
        """As the model wrote it."""
        self._is_plain = is_plain
        self._shown = 0
        """Characters in blocks that are whole."""

    def compose(self) -> ComposeResult:
        """Yield the block that is being written."""
        yield Static(self._last, classes="reply-last")

    def write(self, text: str) -> None:
        """Append what the model has written since."""
        self.text += text
        if self.is_mounted:
            self._draw()

    def show_plain(self, is_plain: bool) -> None:
        """Show the text as it was written, or laid out."""
        self._is_plain, self._shown = is_plain, 0
        self.query(".reply-block").remove()
        self._draw()

    def on_mount(self) -> None:
        """Show what was written before."""
        self._draw()

    def _draw(self) -> None:
        """Leave the blocks that have become whole as they are, and draw the last one."""
        last = self.query_one(".reply-last", Static)
        if not self._is_plain:
            for block in blocks_of(self.text[self._shown :])[:-1]:
                self._shown += len(block)
                if block.strip():
                    self.mount(Static(laid_out(block), classes="reply-block"), before=last)
        last.update(self._last)
        last.display = bool(self.text[self._shown :].strip())

    @property
    def _last(self) -> VisualType:
        if self._is_plain:
            return Content(printable(self.text.strip()))
        return laid_out(self.text[self._shown :])
