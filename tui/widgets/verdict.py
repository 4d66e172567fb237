"""The first line of a place: the answer to its question."""

from engine.hardware.report import CheckStatus
from engine.text import one_line
from tui.theme import SYMBOLS

from textual.content import Content
from textual.widgets import Static

STYLES = {"ok": "$success", "warning": "$warning", "error": "$error"}
"""Style of each status in `Content`."""


class Verdict(Static):
    """A symbol and a sentence."""

    def show(self, status: CheckStatus, sentence: str, rest: str = "") -> None:
        """Say `sentence` in the colour of `status`, then `rest` plainly."""
        self.update(
            Content.assemble(
                (f"{SYMBOLS[status]} ", f"bold {STYLES[status]}"),
                (one_line(sentence, 300), "bold"),
                f" {one_line(rest, 300)}",
            )
        )

    def show_waiting(self, sentence: str) -> None:
        """Say what is being waited for."""
        self.update(Content.styled(f"· {one_line(sentence, 300)}", "$muted"))
