"""A row token by token: only the lines on the screen are drawn."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from tui.app.screens.data.token_cells import BORDERS, Cell, cells, packed
from tui.app.theme import ACCENT, MUTED, TEXT

from rich.segment import Segment
from rich.style import Style
from textual.events import Resize
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

if TYPE_CHECKING:
    from engine.dataset.inspect.preview import PreviewToken  # imports numpy, so not at start-up

GetStyle = Callable[[str], Style]
"""Returns the style that has a name in the theme."""
_SHADES = "$shade-even", "$shade-odd"
_BORDER = "$soft"


class TokenView(ScrollView, can_focus=True):
    """Tokens behind borders that tell their sort, see `BORDERS`; on request with their ids."""

    def __init__(self) -> None:
        super().__init__()
        self._tokens: tuple[PreviewToken, ...] = ()
        self._with_ids = False
        self._lines: list[list[Cell]] = []

    def show(self, tokens: "tuple[PreviewToken, ...]", with_ids: bool) -> None:
        """Draw tokens, with a line of ids below each line if wanted."""
        if tokens is not self._tokens:
            self.scroll_home(animate=False)
        self._tokens, self._with_ids = tokens, with_ids
        self._pack()

    def on_resize(self, event: Resize) -> None:
        """Pack the tokens into lines of the new width."""
        self._pack()

    def _pack(self) -> None:
        room = max(2, self.scrollable_content_region.width)
        self._lines = packed(cells(self._tokens, self._with_ids, room), room)
        self.virtual_size = Size(room, len(self._lines) * self._height)
        self.refresh()

    @property
    def _height(self) -> int:
        """Rows of the screen that a line takes."""
        return 2 if self._with_ids else 1

    def render_line(self, y: int) -> Strip:
        """Draw one row of the screen."""
        index, row = divmod(y + self.scroll_offset.y, self._height)
        width = self.size.width
        if index >= len(self._lines):
            return Strip.blank(width, self.rich_style)
        draw = _number if row else _text
        style = self.app.console.get_style
        segments = [segment for cell in self._lines[index] for segment in draw(cell, style)]
        return Strip(segments).adjust_cell_length(width, self.rich_style).apply_style(self.rich_style)


def _text(cell: Cell, style: GetStyle) -> list[Segment]:
    """Draw border and text of a token."""
    token = cell.token
    look = _look(token, style)
    sort = "cut" if token.cut else "trained" if token.trained else "prompt"
    shade, mark = style(_SHADES[cell.is_odd]), style(MUTED)
    border = Segment(BORDERS[sort], style(ACCENT if sort == "trained" else _BORDER))
    text = [
        Segment(text, shade + look + (mark if is_mark else Style.null())) for text, is_mark in cell.pieces
    ]
    gap = cell.width - sum(segment.cell_length for segment in text)
    return [border, *text, Segment(" " * gap, shade)]


def _number(cell: Cell, style: GetStyle) -> list[Segment]:
    """Draw the ids of a token below its text."""
    shade = style(_SHADES[cell.is_odd])
    return [Segment(" ", Style.null()), Segment(cell.number.ljust(cell.width), shade + style(MUTED))]


def _look(token: "PreviewToken", style: GetStyle) -> Style:
    if token.cut:
        return style(MUTED) + Style(strike=True)
    colour = style(ACCENT if token.special else TEXT)
    return colour + Style(bold=token.trained, underline=token.trained)
