"""What the signs of the loss plot mean, where the best validation was, and which view is drawn."""

from engine.analysis.facts import RunSummary
from engine.i18n import _
from tui.app.screens.shared.lines import SteadyText
from tui.app.screens.train.loss_chart import View

from textual.content import Content

ZOOMS: dict[View, str] = {"all": _("whole run"), "recent": _("last third"), "log": _("log scale")}
"""Name of each view, in the order of the zoom key."""


class LossLegend(SteadyText):
    """One line above the plot."""

    def show(self, run: RunSummary, view: View) -> None:
        """Draw the legend of a run in a view."""
        self.say(legend(run, ZOOMS[view]))


def legend(run: RunSummary, view: str) -> Content:
    """Return the legend of a run, with the name of the view."""
    return Content.assemble(
        ("⠒ ", "$muted"),
        (_("train"), "$muted"),
        ("   ━ ", "$accent"),
        (_("smoothed"), "$muted"),
        ("   ○ ", "$foreground"),
        (_("validation"), "$muted"),
        *((("   × ", "$foreground"), ("NaN", "$muted")) if run.failed_validations else ()),
        ("   ★ ", "$success"),
        (_best(run), "$muted"),
        (f"   {view}", "$muted"),
    )


def _best(run: RunSummary) -> str:
    if run.best_val_loss is None or run.best_step is None:
        return _("best")
    if run.failed_validations:  # one sign more: a small terminal has no room for the loss
        return _("best: step {step:,}").format(step=run.best_step)
    return _("best {loss:.2f} at step {step:,}").format(loss=run.best_val_loss, step=run.best_step)
