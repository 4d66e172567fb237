"""A widget of text lines that sends only the cells that changed."""

from collections.abc import Sequence

from rich.style import Style
from rich.text import Text
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget


class Lines(Widget):
    """Shows lines of text; over SSH a change costs the bytes of the cells that differ, not of all."""

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._lines: list[Strip] = []

    @property
    def text(self) -> str:
        """What is shown, without its colours."""
        return "\n".join(line.text.rstrip() for line in self._lines)

    def show_lines(self, lines: Sequence[Text]) -> None:
        """Replace all lines; what does not fit is cut."""
        width = self.size.width
        old, self._lines = self._lines, [self._strip(line, width) for line in lines]
        if [line.cell_length for line in old] != [line.cell_length for line in self._lines]:
            self.refresh()
            return
        spans = [changed_span(before, after) for before, after in zip(old, self._lines, strict=True)]
        if regions := [Region(x, y, cells, 1) for y, (x, cells) in enumerate(spans) if cells]:
            self.refresh(*regions)

    def render_line(self, y: int) -> Strip:
        """Return one line."""
        return self._lines[y] if y < len(self._lines) else Strip.blank(self.size.width, self.rich_style)

    def _strip(self, line: Text, width: int) -> Strip:
        segments = Text.assemble(line).render(self.app.console)
        return Strip(segments).adjust_cell_length(width).apply_style(self.rich_style)


def changed_span(old: Strip, new: Strip) -> tuple[int, int]:
    """Return start and width of the cells in which two lines of one width differ; 0, 0 if they do not."""
    before, after = _cells(old), _cells(new)
    different = [x for x, (one, other) in enumerate(zip(before, after, strict=False)) if one != other]
    if not different:
        return (0, 0)
    return different[0], different[-1] - different[0] + 1


def _cells(strip: Strip) -> list[tuple[str, Style | None]]:
    """Return the character and style of each cell; all characters are one cell wide."""
    return [(character, segment.style) for segment in strip for character in segment.text]
