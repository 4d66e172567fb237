"""The first line of a place: the answer to its question."""

from collections.abc import Iterator

from engine.dataset.report import Severity
from engine.i18n import _
from engine.sanitize import one_line
from engine.symbols import SYMBOLS
from tui.app.screens.shared.copying import Copied, ToCopy, of_sentence
from tui.app.screens.shared.lines import SteadyText
from tui.run.status import RunSign
from tui.shell import complete, laid_out

from rich.cells import cell_len
from textual.content import Content

STYLES = {
    "ok": "$success",
    "note": "$muted",
    "warning": "$warning",
    "error": "$error",
    "running": "$accent",
    "paused": "$warning",
}
"""Style of each status in `Content`."""


class VerdictLine(SteadyText, Copied):
    """A symbol and a sentence."""

    COPIED_AS = _("verdict")
    """What it is called among what can be copied."""
    _shown: tuple[RunSign | Severity, str, str] | None = None
    """What is said; None while that is awaited."""

    def show(self, status: RunSign | Severity, sentence: str, rest: str = "") -> None:
        """Say `sentence` in the colour of `status`, then `rest` plainly."""
        self._shown = status, one_line(sentence, 500), one_line(rest, 300)
        self._draw()

    def on_resize(self) -> None:
        """Lay commands out for the new width."""
        self._draw()

    def _draw(self) -> None:
        if self._shown is None:
            return
        status, sentence, rest = self._shown
        width = self.content_size.width or self.app.size.width  # it has none before it is laid out
        start = f"{SYMBOLS[status]} "
        said = complete(sentence) if rest else laid_out(sentence, width, before=cell_len(start))
        rest = laid_out(f" {rest}", width, before=cell_len(start + said))
        self.say(Content.assemble((start, f"bold {STYLES[status]}"), (said, "bold"), rest))

    def to_copy(self) -> Iterator[ToCopy]:
        """Yield the verdict."""
        if self._shown:
            _status, sentence, rest = self._shown
            yield from of_sentence(self.COPIED_AS, f"{sentence} {rest}".rstrip())

    def show_waiting(self, sentence: str) -> None:
        """Say what is being waited for."""
        self._shown = None
        self.say(Content.styled(f"· {one_line(sentence, 300)}", "$muted"))
