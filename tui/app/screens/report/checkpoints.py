"""The checkpoints of a run, each of them an adapter that mlx-lm can load."""

from typing import ClassVar

from engine.analysis.facts import RunSummary
from engine.i18n import _, number
from engine.sanitize import one_line
from engine.units import size
from tui.app.screens.shared.dialog import Dialog

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static


class CheckpointsScreen(Dialog[None]):
    """A list; any of Escape, c and q closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,c,q,enter", "dismiss", _("Close"), id="checkpoints.close"),
    ]

    def __init__(self, summary: RunSummary) -> None:
        super().__init__()
        self._summary = summary

    def compose(self) -> ComposeResult:
        """Draw one box."""
        with VerticalScroll(classes="dialog help") as box:
            box.border_title = Content(_("Checkpoints"))
            box.border_subtitle = Content(_("Esc closes"))
            yield Static(self._list())

    def _list(self) -> Content:
        rows = [Content.styled(f"{_('step'):>9}{_('epoch'):>7}{_('size'):>11}   {_('folder')}", "$muted")]
        for checkpoint in self._summary.checkpoints:
            numbers = f"{number(checkpoint.step):>9}{checkpoint.epoch + 1:>7}{size(checkpoint.bytes):>11}   "
            best = _("  ★ best") if checkpoint.step == self._summary.best_step else ""
            rows.append(Content.assemble(numbers, one_line(checkpoint.path.name, 60), (best, "$success")))
        if not self._summary.checkpoints:
            rows = [Content(_("There are none."))]
        return Content("\n").join(rows)
