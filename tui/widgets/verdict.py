"""The first line of a place: the answer to its question."""

from engine.dataset.report import Severity
from engine.hardware.report import CheckStatus
from engine.text import one_line
from tui.shell import complete
from tui.theme import SYMBOLS
from tui.widgets.steady_text import SteadyText

from textual.content import Content

STYLES = {"ok": "$success", "note": "$muted", "warning": "$warning", "error": "$error"}
"""Style of each status in `Content`."""


class Verdict(SteadyText):
    """A symbol and a sentence."""

    def show(self, status: CheckStatus | Severity, sentence: str, rest: str = "") -> None:
        """Say `sentence` in the colour of `status`, then `rest` plainly."""
        self.say(
            Content.assemble(
                (f"{SYMBOLS[status]} ", f"bold {STYLES[status]}"),
                (complete(one_line(sentence, 500)), "bold"),
                f" {complete(one_line(rest, 300))}",
            )
        )

    def show_waiting(self, sentence: str) -> None:
        """Say what is being waited for."""
        self.say(Content.styled(f"· {one_line(sentence, 300)}", "$muted"))
