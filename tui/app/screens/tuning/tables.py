"""The candidates of a tuning as tables, before and after they are trained."""

from engine.i18n import _, number
from engine.symbols import SYMBOLS
from engine.tuning.result import TuningResult
from engine.tuning.sentences import loss_bars
from engine.units import duration, nats
from tui.app.jobs.tune import TuningPlan
from tui.app.theme import MUTED, OK

from rich.table import Table
from rich.text import Text

_BAR = 12
"""Columns of the longest bar."""


def plan_table(plan: TuningPlan) -> Table:
    """Return what would be tried: values, steps and time of the whole run of each."""
    table = _table("", _("tried"), _("steps"), _("time"))
    for candidate, price in zip(plan.tuning.candidates, plan.price.each, strict=True):
        table.add_row(
            _("chosen now") if candidate.is_chosen else "",
            Text(candidate.label(plan.chosen)),
            number(price.steps or 0),
            "?" if price.seconds is None else duration(price.seconds),
        )
    return table


def result_table(result: TuningResult) -> Table:
    """Return what was found: the lowest validation loss of each as number and bar, the best one marked."""
    table = _table("", _("tried"), _("steps"), _("validation loss"), _("shorter is better"))
    for place, (each, bar) in enumerate(zip(result.tried, loss_bars(result, _BAR), strict=True)):
        table.add_row(
            Text(SYMBOLS["ok"], OK) if place == result.best else "",
            Text(each.label),
            f"{number(each.steps)}/{number(each.total_steps)}",
            "–" if each.loss is None else nats(each.loss),
            bar,
        )
    return table


def _table(*heads: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style=MUTED)
    for head in heads:
        table.add_column(head, no_wrap=True, overflow="ellipsis")
    return table
