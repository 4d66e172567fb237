"""What the signs of the loss plot mean, where the best validation was, and which view is drawn."""

from engine.analysis.summary import RunSummary
from engine.i18n import _
from tui.widgets.loss_chart import View
from tui.widgets.steady_text import SteadyText

from textual.content import Content

ZOOMS: dict[View, str] = {"all": _("whole run"), "recent": _("last third"), "log": _("log scale")}
"""Name of each view, in the order of the zoom key."""


class LossLegend(SteadyText):
    """One line above the plot."""

    def show(self, run: RunSummary, view: View) -> None:
        """Draw the legend of a run in a view."""
        self.say(_legend(run, ZOOMS[view]))


def _legend(run: RunSummary, view: str) -> Content:
    best = _("best")
    if run.best_val_loss is not None:
        best = _("best {loss:.2f} at step {step:,}").format(loss=run.best_val_loss, step=run.best_step)
    return Content.assemble(
        ("⠒ ", "$muted"),
        (_("train"), "$muted"),
        ("   ━ ", "$accent"),
        (_("smoothed"), "$muted"),
        ("   ○ ", "$foreground"),
        (_("validation"), "$muted"),
        ("   ★ ", "$success"),
        (best, "$muted"),
        (f"   {view}", "$muted"),
    )
