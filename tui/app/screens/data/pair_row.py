"""One row of a pair: where it is, and what it says differently from the other."""

from typing import TYPE_CHECKING

from engine.dataset.report import Place
from engine.errors import UserError
from engine.i18n import _, number
from engine.sanitize import one_line, printable

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

if TYPE_CHECKING:
    from engine.dataset.inspect.word_diff import DiffPart, Said, Turns  # imports numpy, so not at start-up

OPEN, CLOSE = "▸", "◂"
"""Stand around what differs, for eyes and terminals without colours."""


class PairRow(VerticalScroll):
    """A box with the turns of a row; what differs stands between marks, bold and underlined."""

    def __init__(self) -> None:
        super().__init__(classes="panel pair-row")

    def compose(self) -> ComposeResult:
        """Yield the text."""
        yield Static()

    def show_place(self, place: Place) -> None:
        """Say which row it is, and that it is being read."""
        self.border_title = Content(
            _("{file} line {line}").format(file=one_line(place.file, 40), line=number(place.line))
        )
        self._update(Content.styled(_("Reading the row …"), "$muted"))

    def show_row(self, row: "Turns | UserError") -> None:
        """Draw a row, or say why it cannot be shown."""
        if isinstance(row, UserError):
            self._update(Content.assemble(("✗ ", "bold $error"), one_line(str(row), 400)))
        else:
            self._update(Content("\n").join([_turn(turn) for turn in row]))
            self.scroll_home(animate=False)

    def _update(self, text: Content) -> None:
        self.query_one(Static).update(text)


def _turn(turn: "Said") -> Content:
    head = Content.styled(f"{turn.role}\n", "$muted") if turn.role else Content("")
    body = Content("").join([marked(part) for part in turn.parts])
    tail = "" if turn.is_whole else _(" … the rest is not compared")
    return Content.assemble(head, body, (tail, "$muted"), "\n")


def marked(part: "DiffPart") -> Content:
    """Return a stretch of a text, between marks where it differs from the other text."""
    text = printable(part.text)
    if not part.differs:
        return Content(text)
    words = text.lstrip() or text
    return Content.assemble(text.removesuffix(words), (f"{OPEN}{words}{CLOSE}", "bold underline $warning"))
