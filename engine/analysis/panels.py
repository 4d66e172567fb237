"""The charts of a run over its steps: each function draws one onto given axes."""

from typing import TYPE_CHECKING

from engine import units
from engine.analysis.chart_series import Series
from engine.analysis.drawing import (
    BLUE,
    COLUMNS,
    GREEN,
    GREY,
    PURPLE,
    VERMILION,
    dress,
    legend,
    part_epochs,
    trend,
    whole_steps,
)
from engine.analysis.series import bucket_means, downsample, rolling_std, smooth, smoothing_weight
from engine.analysis.validations import Validations
from engine.i18n import _, ngettext
from engine.training.history import Ints, RunHistory
from engine.units import rate

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def loss_curves(
    axes: "Axes", history: RunHistory, checked: Validations, initial_val_loss: float | None
) -> None:
    """Draw training and validation loss against the step, the best validation marked."""
    steps, losses = history.points("loss")
    axes.plot(*downsample(steps, losses, COLUMNS), color=BLUE, alpha=0.28, lw=0.8, label=_("training"))
    axes.plot(*trend(steps, losses), color=BLUE, lw=2.2, label=_("training, smoothed"))
    _validation(axes, checked, initial_val_loss)
    dress(axes, _("Training and validation loss"), _("step"), _("loss (nats per token)"))
    whole_steps(axes)
    legend(axes)


def chart(axes: "Axes", series: Series, first: int, past: int, is_log: bool) -> None:
    """Draw one quantity of some steps, from `first` to before `past`, with what is marked in these."""
    from matplotlib.ticker import LogFormatter

    names = {
        "loss": _("loss (nats per token)"),
        "grad_norm": _("gradient norm"),
        "tokens_per_second": _("tokens per second"),
    }
    along = {"step": _("step"), "tokens": _("tokens"), "time": _("minutes of training")}
    unit = 60.0 if series.axis == "time" else 1.0
    x = series.x[first:past] / unit
    axes.plot(
        *downsample(x, series.y[first:past], COLUMNS), color=BLUE, alpha=0.28, lw=0.8, label=_("one step")
    )
    axes.plot(
        *downsample(x, series.smoothed[first:past], COLUMNS),
        color=BLUE,
        lw=2.2,
        label=_("smoothed over {steps}").format(steps=units.steps(round(series.span))),
    )
    _marks(axes, series, series.data.history.step[first:past], unit)
    dress(axes, names[series.measure][:1].upper() + names[series.measure][1:], along[series.axis], "")
    if series.axis == "step":
        whole_steps(axes)
    if is_log and (series.y[first:past] > 0).any():
        axes.set_yscale("log", nonpositive="clip")
        for set_formatter in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
            set_formatter(LogFormatter())  # 4 rather than 4 x 10^0
    legend(axes)


def _marks(axes: "Axes", series: Series, shown: Ints, unit: float) -> None:
    """Mark validations, the best one and checkpoints of the steps that are shown."""
    data, low, high = series.data, shown[0], shown[-1]
    here = (data.checked.steps >= low) & (data.checked.steps <= high)
    best = data.best_step
    if series.measure == "loss" and here.any():
        x = series.at_steps(data.checked.steps[here]) / unit
        style = {
            "color": VERMILION,
            "lw": 1.6,
            "marker": "o" if len(x) <= 60 else "",
            "ms": 5,
            "mec": "white",
        }
        axes.plot(*downsample(x, data.checked.losses[here], COLUMNS), label=_("validation"), **style)
    at_bottom = {"transform": axes.get_xaxis_transform(), "ls": "", "clip_on": False, "zorder": 5}
    if kept := tuple(step for step in data.checkpoints if low <= step <= high):
        x = series.at_steps(kept) / unit
        axes.plot(x, np.zeros(len(x)), marker="D", ms=7, color=GREY, label=_("checkpoint"), **at_bottom)
    if best is not None and low <= best <= high:
        x = series.at_steps((best,)) / unit
        label = _("best {loss:.2f} at step {step:,}").format(loss=data.checked.losses.min(), step=best)
        star = {"marker": "*", "ms": 17, "color": "#F0C000", "mec": "black", "mew": 0.8}
        axes.plot(x, np.zeros(len(x)), label=label, **star, **at_bottom)


def learning_rate(axes: "Axes", history: RunHistory) -> None:
    """Draw the learning rate against the step."""
    x, y = downsample(history.step, history.learning_rate, COLUMNS)
    axes.plot(x, y, color=GREEN, lw=2.2)
    axes.fill_between(x, y, color=GREEN, alpha=0.12, lw=0)
    dress(axes, _("Learning rate"), _("step"), _("learning rate"))
    whole_steps(axes)
    axes.yaxis.set_major_formatter(lambda value, _place: rate(value) if value else "0")
    axes.set_ylim(bottom=0)


def speed_and_memory(axes: "Axes", history: RunHistory) -> None:
    """Draw tokens per second on the left scale and peak memory on the right one."""
    x, y = downsample(history.step, history.tokens_per_second, COLUMNS)
    axes.plot(x, y, color=PURPLE, alpha=0.35, lw=0.8)
    speed = axes.plot(
        *trend(history.step, history.tokens_per_second), color=PURPLE, lw=2.2, label=_("tokens/s")
    )
    dress(axes, _("Speed and memory"), _("step"), _("tokens per second"))
    whole_steps(axes)
    axes.set_ylim(0, 1.15 * max(float(y.max(initial=0)), 1e-9))
    right = axes.twinx()
    x, y = downsample(history.step, history.peak_memory_gb, COLUMNS)
    memory = right.plot(x, y, color=GREY, lw=2.2, ls="--", label=_("peak memory"))
    right.set_ylabel(_("peak memory (GB)"))
    right.set_ylim(0, 1.15 * max(float(y.max(initial=0)), 1e-9))
    right.spines[["top", "left"]].set_visible(False)
    legend(axes, handles=speed + memory)


def volatility(axes: "Axes", history: RunHistory) -> None:
    """Draw the rolling standard deviation of the training loss, the epochs parted by dotted lines."""
    steps, losses = history.points("loss")
    window = max(2, min(max(50, len(losses) // 50), len(losses) // 10))
    spread = rolling_std(losses, window)
    axes.plot(*downsample(steps[window - 1 :], spread, COLUMNS), color=PURPLE, lw=1.4)
    axes.fill_between(*downsample(steps[window - 1 :], spread, COLUMNS), color=PURPLE, alpha=0.12, lw=0)
    part_epochs(axes, history)
    title = _("Volatility: spread of the loss over {steps}").format(steps=units.steps(window))
    dress(axes, title, _("step"), _("standard deviation (nats)"))
    whole_steps(axes)
    axes.set_ylim(bottom=0)


def improvement_rate(axes: "Axes", history: RunHistory) -> None:
    """Draw by how much the smoothed loss falls per step: above zero the model gets better."""
    steps, losses = history.points("loss")
    unit = 10 ** max(0, len(str(len(losses))) - 2)
    label = ngettext("fall of the loss per step", "fall of the loss per {n:,} steps", unit).format(n=unit)
    # Means first: the slope between single steps would be all noise.
    x, means = bucket_means(steps, losses, COLUMNS // 4)
    weight = smoothing_weight(len(means))
    y = smooth(-np.gradient(smooth(means, weight), x) * unit, weight)
    axes.axhline(0, color=GREY, lw=1)
    axes.plot(x, y, color=GREY, lw=1)
    better = {"color": GREEN, "alpha": 0.55, "lw": 0, "label": _("getting better")}
    worse = {"color": VERMILION, "alpha": 0.55, "lw": 0, "label": _("getting worse"), "hatch": "///"}
    axes.fill_between(x, y, where=y >= 0, interpolate=True, **better)
    axes.fill_between(x, y, where=y < 0, interpolate=True, **worse)
    part_epochs(axes, history)
    dress(axes, _("Rate of improvement"), _("step"), label)
    whole_steps(axes)
    legend(axes)


def learning_curve(
    axes: "Axes", history: RunHistory, checked: Validations, initial_val_loss: float | None
) -> None:
    """Draw every step's loss as a dot under its smoothed course and the validation."""
    steps, losses = history.points("loss")
    dots = {"ls": "", "marker": ".", "ms": 4 if len(losses) > 100 else 9, "color": BLUE, "alpha": 0.35}
    apart = -(-len(steps) // (2 * COLUMNS))
    axes.plot(steps[::apart], losses[::apart], **dots, label=_("training, one step"))
    axes.plot(*trend(steps, losses), color=BLUE, lw=2.2, label=_("training, smoothed"))
    _validation(axes, checked, initial_val_loss)
    dress(axes, _("Learning curve, smoothed"), _("step"), _("loss (nats per token)"))
    whole_steps(axes)
    legend(axes)


def _validation(axes: "Axes", checked: Validations, initial: float | None) -> None:
    """Draw the validations, the best with a star, and those that were not finite at the upper edge."""
    if len(checked.failed):
        marks = {"ls": "", "marker": "X", "ms": 9, "color": VERMILION, "mec": "black", "clip_on": False}
        at_top = axes.get_xaxis_transform()
        label = _("validation not finite")
        axes.plot(checked.failed, [1.0] * len(checked.failed), transform=at_top, label=label, **marks)
    if not len(checked.steps):
        return
    x, y = downsample(checked.steps, checked.losses, COLUMNS)
    if initial is not None and np.isfinite(initial):
        x, y = np.insert(x, 0, 0), np.insert(y, 0, initial)
    marker = "o" if len(x) <= 60 else ""
    axes.plot(x, y, color=VERMILION, lw=1.6, marker=marker, ms=5, mec="white", label=_("validation"))
    best = int(np.argmin(checked.losses))
    label = _("best {loss:.2f} at step {step:,}").format(loss=checked.losses[best], step=checked.steps[best])
    style = {"marker": "*", "ms": 17, "color": "#F0C000", "mec": "black", "mew": 0.8}
    axes.plot(checked.steps[best], checked.losses[best], ls="", zorder=5, label=label, **style)
