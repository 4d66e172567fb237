"""The last gates before the terminal: no widget, of ours or of a library, can send it a control code."""

import re
from functools import lru_cache

from engine.sanitize import HARMFUL

from rich.cells import cell_len
from rich.color import ColorType
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

_BRIGHT_BLACK = 8
_FAINT = Style(color="default", dim=True)


class HarmlessFilter(LineFilter):
    """Replaces what `engine.sanitize.printable` would escape, cell by cell: no line changes its width."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return the segments of a line without anything harmful."""
        return [Segment(HARMFUL.sub(_stand_in, text), style, control) for text, style, control in segments]


def _stand_in(match: re.Match[str]) -> str:
    return "?" * cell_len(match[0])


class FaintFilter(LineFilter):
    """Writes the terminal's bright black as faint text: in some colour schemes it is the background."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return the segments of a line, readable in any colour scheme."""
        return [Segment(text, style and _readable(style), control) for text, style, control in segments]


@lru_cache(1024)
def _readable(style: Style) -> Style:
    colour = style.color
    is_muted = colour is not None and colour.type is ColorType.STANDARD and colour.number == _BRIGHT_BLACK
    return style + _FAINT if is_muted else style


HARMLESS = HarmlessFilter()
"""The one that the app uses."""
FAINT = FaintFilter()
"""The one that it uses with the terminal's own colours."""
