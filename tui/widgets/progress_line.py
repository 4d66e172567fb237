"""One line that says how far the run is and how long it still takes."""

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import ProgressBar, Static


class ProgressLine(Horizontal):
    """A text, a bar and a text; the bar takes what room is left."""

    DEFAULT_CSS = """
    ProgressLine {
        height: 1;
        Static { width: auto; }
        ProgressBar { width: 1fr; margin: 0 1; }
        Bar { width: 1fr; }
        Bar > .bar--bar, Bar > .bar--complete { color: $accent; background: $line; }
        Bar > .bar--indeterminate { color: $line; background: $line; }
    }
    """

    def compose(self) -> ComposeResult:
        """Yield text, bar, text."""
        yield Static(id="progress-left", markup=False)
        yield ProgressBar(total=1.0, show_percentage=False, show_eta=False)
        yield Static(id="progress-right", markup=False)

    def show(self, left: str, share: float, right: str) -> None:
        """Show `share` (0 to 1) of the bar between two texts; what is the same is not sent again."""
        self._update("#progress-left", left)
        self._update("#progress-right", right)
        self.query_one(ProgressBar).update(progress=min(max(share, 0.0), 1.0))

    def _update(self, selector: str, text: str) -> None:
        label = self.query_one(selector, Static)
        if str(label.content) != text:
            label.update(Content(text))
