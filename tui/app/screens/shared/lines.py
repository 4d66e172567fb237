"""A widget of text lines that makes, and sends, only what changed."""

from collections.abc import Hashable, Sequence

from rich.style import Style
from rich.text import Text
from textual.content import Content
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static


class Lines(Widget):
    """Shows lines of text; over SSH a change costs the bytes of the cells that differ, not of all."""

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._lines: list[Strip] = []
        self._made: dict[Hashable, Strip] = {}
        """These lines by width, look and text."""

    def on_mount(self) -> None:
        """Draw anew in the colours of another theme."""
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self.on_resize())

    def on_resize(self) -> None:
        """Draw to the present width and in the present colours; a subclass knows what."""

    @property
    def text(self) -> str:
        """What is shown, without its colours."""
        return "\n".join(line.text.rstrip() for line in self._lines)

    def show_lines(self, lines: Sequence[Text]) -> int:
        """Replace all lines; what does not fit is cut. Return how many cells are sent again."""
        old, self._lines = self._lines, self._strips(lines)
        if [line.cell_length for line in old] != [line.cell_length for line in self._lines]:
            self.refresh()
            return self.size.area
        spans = [changed_span(before, after) for before, after in zip(old, self._lines, strict=True)]
        if regions := [Region(x, y, cells, 1) for y, (x, cells) in enumerate(spans) if cells]:
            self.refresh(*regions)
        return sum(region.area for region in regions)

    def render_line(self, y: int) -> Strip:
        """Return one line."""
        return self._lines[y] if y < len(self._lines) else Strip.blank(self.size.width, self.rich_style)

    def _strips(self, lines: Sequence[Text]) -> list[Strip]:
        """Return what is drawn of `lines`; those that were shown before are not made again."""
        width, look = self.size.width, self.rich_style
        keys = [(width, look, line.plain, line.style, *line.spans) for line in lines]
        known, self._made = self._made, {}
        for key, line in zip(keys, lines, strict=True):
            self._made[key] = known.get(key) or self._strip(line, width, look)
        return [self._made[key] for key in keys]

    def _strip(self, line: Text, width: int, look: Style) -> Strip:
        segments = Text.assemble(line).render(self.app.console)
        return Strip(segments).adjust_cell_length(width).apply_style(look)


def changed_span(old: Strip, new: Strip) -> tuple[int, int]:
    """Return start and width of the cells in which two lines of one width differ; 0, 0 if they do not."""
    if old is new:
        return (0, 0)
    before, after = _cells(old), _cells(new)
    different = [x for x, (one, other) in enumerate(zip(before, after, strict=False)) if one != other]
    if not different:
        return (0, 0)
    return different[0], different[-1] - different[0] + 1


def _cells(strip: Strip) -> list[tuple[str, Style | None]]:
    """Return the character and style of each cell; all characters are one cell wide."""
    return [(character, segment.style) for segment in strip for character in segment.text]


class SteadyText(Static):
    """Drawn again only for another text; the screen is laid out again only for another number of lines."""

    def say(self, content: Content) -> None:
        """Show `content`."""
        if isinstance(self.content, Content) and self.content.is_same(content):
            return
        room = self.content_size
        lines = content.get_height(self.styles.get_rules(), room.width) if room else None
        self.update(content, layout=lines != room.height)
