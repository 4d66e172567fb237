"""An input line for questions."""

from engine.text import one_line

from textual.widgets import Input

_LONGEST = 100_000


class LineInput(Input):
    """Shows what is hidden in a pasted text, so that nothing is sent that was not seen."""

    def replace(self, text: str, start: int, end: int) -> None:
        """Put `text`, made visible, between two positions."""
        super().replace(one_line(text, _LONGEST), start, end)
