"""What a chart shows, in words; what its signs mean, or what stands at the cursor."""

import math
from datetime import timedelta

from engine import units
from engine.analysis.chart_series import Axis, ChartData, Measure, Reading
from engine.analysis.facts import RunSummary
from engine.i18n import _, ngettext, number
from tui.app.screens.shared.lines import SteadyText
from tui.run.chart_view import ChartView

from textual.content import Content

MEASURES: dict[Measure, str] = {
    "loss": _("loss"),
    "grad_norm": _("gradient norm"),
    "tokens_per_second": _("speed (tok/s)"),
}
AXES: dict[Axis, str] = {"step": _("by step"), "tokens": _("by tokens"), "time": _("by time")}
CHECKPOINT, CURSOR = "◆", "▲"
"""On the axis."""


class LossLegend(SteadyText):
    """One line above the plot."""


def words(view: ChartView, data: ChartData, is_training: bool) -> Content:
    """Say what is shown: which quantity, along what, which steps, and how."""
    parts = [f"{MEASURES[view.measure]} {AXES[view.axis]}", _part(view, data, is_training)]
    if view.is_log:
        parts.append(_("log scale"))
    span = data.span(view.smoothing)
    parts.append(
        _("smoothed over {steps}").format(steps=units.steps(round(span))) if span > 1 else _("not smoothed")
    )
    return Content.styled(" · ".join(parts), "$muted")


def _part(view: ChartView, data: ChartData, is_training: bool) -> str:
    first, past = view.rows(len(data.history))
    if view.is_whole or past <= first:
        return _("whole run")
    if view.frozen is None:
        newest = ngettext("newest {n} step", "newest {n} steps", past - first).format(n=number(past - first))
        return _("live: {newest}").format(newest=newest) if is_training else newest
    steps = data.history.step
    frozen = _("frozen: steps {first:,}-{last:,}").format(first=steps[first], last=steps[past - 1])
    later = len(data.history) - past
    return f"{frozen}, {_('{n:,} later').format(n=later)}" if later else frozen


def signs(run: RunSummary, data: ChartData, view: ChartView) -> Content:
    """Explain the signs of a chart."""
    is_loss = view.measure == "loss"
    parts = [
        (("⠒ ", "$muted"), _("train") if is_loss else _("one step")),
        (("━ ", "$accent"), _("smoothed")),
    ]
    if is_loss:
        parts.append((("○ ", "$foreground"), _("validation")))
    if run.failed_validations if is_loss else run.skipped_steps:
        parts.append((("× ", "$foreground"), "NaN"))
    parts.append((("★ ", "$success"), _best(run)))
    if data.checkpoints:
        parts.append(((f"{CHECKPOINT} ", "$foreground"), _("checkpoints")))
    return Content("  ").join(Content.assemble(sign, (name, "$muted")) for sign, name in parts)


def _best(run: RunSummary) -> str:
    if run.best_val_loss is None or run.best_step is None:
        return _("best")
    if run.failed_validations:  # one sign more: a small terminal has no room for the loss
        return _("best: step {step:,}").format(step=run.best_step)
    return _("best {loss:.2f} at step {step:,}").format(loss=run.best_val_loss, step=run.best_step)


def read_out(reading: Reading, view: ChartView) -> Content:
    """Tell what was measured at the cursor."""
    marks = ("★ " if reading.is_best else "") + (f"{CHECKPOINT} " if reading.is_checkpoint else "")
    parts = [(f"{CURSOR} ", "$warning"), (marks, "$success"), (_step(reading, view.axis), "bold $foreground")]
    for name, value in _values(reading, view.measure):
        parts += [(f"  {name} ", "$muted"), (value, "$foreground")]
    return Content.assemble(*parts)


def _step(reading: Reading, axis: Axis) -> str:
    text = _("step {step:,}").format(step=reading.step)
    if axis == "tokens":
        return f"{text}, {units.tokens(reading.tokens)}"
    return f"{text}, {timedelta(seconds=round(reading.elapsed_s))}" if axis == "time" else text


def _values(reading: Reading, measure: Measure) -> list[tuple[str, str]]:
    name = {"loss": _("loss"), "grad_norm": _("norm"), "tokens_per_second": _("tok/s")}[measure]
    values = [(name, four_digits(reading.value)), (_("smoothed"), four_digits(reading.smoothed))]
    if measure == "loss":
        values.append((_("val"), "–" if reading.validation is None else four_digits(reading.validation)))
    rate = reading.learning_rate
    return [*values, (_("lr"), units.rate(rate) if rate else "0")]


def four_digits(value: float) -> str:
    """Return a value with four significant digits, or NaN."""
    if not math.isfinite(value):
        return "NaN"
    return number(value, ",.0f" if 1000 <= abs(value) < 1e7 else ".4g")
