"""One line that says how far the run is and how long it still takes."""

from typing import ClassVar

from tui.app.screens.shared.lines import Lines

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text

_LEAST_BAR = 3
"""Columns of a bar that still tells something."""


class ProgressLine(Lines):
    """A text, a bar and a text; the bar takes what room is left."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"progress-line--done", "progress-line--rest"}
    DEFAULT_CSS = """
    ProgressLine {
        height: 1;
        .progress-line--done { color: $accent; }
        .progress-line--rest { color: $line; }
    }
    """

    def __init__(self, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._said = ("", 0.0, "")

    def show(self, left: str, share: float, right: str) -> None:
        """Show `share` (0 to 1) of the bar between two texts."""
        said = (left, min(max(share, 0.0), 1.0), right)
        if said != self._said:
            self._said = said
            self._draw()

    def on_resize(self) -> None:
        """Draw to the new width."""
        self._draw()

    def _draw(self) -> None:
        left, share, right = self._said
        right = _shortened(right, self.size.width - cell_len(left) - 2 - _LEAST_BAR)
        room = max(0, self.size.width - cell_len(left) - cell_len(right) - 2)
        whole, half = divmod(round(2 * share * room), 2)
        done = "━" * whole + "╸" * half
        rest = "─" * (room - len(done))
        bar = [(part, self._style(name)) for part, name in ((done, "done"), (rest, "rest"))]
        self.show_lines([Text.assemble(left, " ", *bar, " ", right)])

    def _style(self, part: str) -> Style:
        return self.get_component_rich_style(f"progress-line--{part}", partial=True)


def _shortened(text: str, room: int) -> str:
    """Leave out whole parts from the end, first when it is done, until the text has room."""
    for part in (", ", "  ", "  "):
        if cell_len(text) > room:
            text = text.rpartition(part)[0] or text
    return text
