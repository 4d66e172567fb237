"""The last gate before the terminal: no widget, of ours or of a library, can send it a control code."""

import re

from engine.sanitize import HARMFUL

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter


class HarmlessFilter(LineFilter):
    """Replaces what `engine.sanitize.printable` would escape, cell by cell: no line changes its width."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return the segments of a line without anything harmful."""
        return [Segment(HARMFUL.sub(_stand_in, text), style, control) for text, style, control in segments]


def _stand_in(match: re.Match[str]) -> str:
    return "?" * cell_len(match[0])


HARMLESS = HarmlessFilter()
"""The one that the app uses."""
