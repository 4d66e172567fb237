"""The single charts: each function draws one onto given axes."""

from typing import TYPE_CHECKING

from engine.analysis.history import Ints, RunHistory
from engine.analysis.series import Floats, bucket_means, downsample, rolling_std, smooth, smoothing_weight
from engine.i18n import _, ngettext
from engine.words import rate

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Colour-blind-safe palette of Okabe and Ito.
BLUE, VERMILION, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#5F6B7A"
# Points per curve: about two for each pixel column of a panel.
_COLUMNS = 700
# Epochs drawn one by one; of more, this many evenly spaced ones.
_EPOCHS = 8


def loss_curves(axes: "Axes", history: RunHistory, initial_val_loss: float | None) -> None:
    """Draw training and validation loss against the step, the best validation marked."""
    steps, losses = history.points("loss")
    axes.plot(*downsample(steps, losses, _COLUMNS), color=BLUE, alpha=0.28, lw=0.8, label=_("training"))
    axes.plot(*_trend(steps, losses), color=BLUE, lw=2.2, label=_("training, smoothed"))
    _validation(axes, history, initial_val_loss)
    _dress(axes, _("Training and validation loss"), _("step"), _("loss (nats per token)"))
    _whole_steps(axes)
    axes.legend(loc="upper right")


def epoch_means(axes: "Axes", history: RunHistory) -> None:
    """Draw the mean training loss of each epoch as bars, and its last validation as a diamond."""
    epochs = np.unique(history.epoch)
    groups = [(epoch, _finite(history.loss[history.epoch == epoch])) for epoch in _spread(epochs, 24)]
    names = [str(epoch + 1) for epoch, losses in groups if len(losses)]
    means = [float(losses.mean()) for _e, losses in groups if len(losses)]
    bars = axes.bar(
        names, means, width=min(0.6, 0.2 * len(names)), color=BLUE, alpha=0.85, label=_("training, mean")
    )
    if len(names) <= 12:
        axes.bar_label(bars, fmt="%.2f", label_type="center", color="white", fontweight="bold")
    last = [
        (str(e + 1), v[-1]) for e, _l in groups if len(v := _finite(history.val_loss[history.epoch == e]))
    ]
    if last:
        x, y = zip(*last, strict=True)
        axes.plot(
            x, y, ls="", marker="D", ms=8, color=VERMILION, mec="white", label=_("validation at its end")
        )
    _dress(axes, _("Mean loss of each epoch"), _("epoch"), _("loss (nats per token)"))
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.set_ylim(0, 1.25 * max([*means, *(value for _n, value in last)]) or 1.0)
    axes.legend(loc="upper right", reverse=True)


def learning_rate(axes: "Axes", history: RunHistory) -> None:
    """Draw the learning rate against the step."""
    x, y = downsample(history.step, history.learning_rate, _COLUMNS)
    axes.plot(x, y, color=GREEN, lw=2.2)
    axes.fill_between(x, y, color=GREEN, alpha=0.12, lw=0)
    _dress(axes, _("Learning rate"), _("step"), _("learning rate"))
    _whole_steps(axes)
    axes.yaxis.set_major_formatter(lambda value, _place: rate(value) if value else "0")
    axes.set_ylim(bottom=0)


def speed_and_memory(axes: "Axes", history: RunHistory) -> None:
    """Draw tokens per second on the left scale and peak memory on the right one."""
    x, y = downsample(history.step, history.tokens_per_second, _COLUMNS)
    axes.plot(x, y, color=PURPLE, alpha=0.35, lw=0.8)
    speed = axes.plot(
        *_trend(history.step, history.tokens_per_second), color=PURPLE, lw=2.2, label=_("tokens/s")
    )
    _dress(axes, _("Speed and memory"), _("step"), _("tokens per second"))
    _whole_steps(axes)
    axes.set_ylim(0, 1.5 * max(float(y.max(initial=0)), 1e-9))
    right = axes.twinx()
    x, y = downsample(history.step, history.peak_memory_gb, _COLUMNS)
    memory = right.plot(x, y, color=GREY, lw=2.2, ls="--", label=_("peak memory"))
    right.set_ylabel(_("peak memory (GB)"))
    right.set_ylim(0, 1.15 * max(float(y.max(initial=0)), 1e-9))
    right.spines[["top", "left"]].set_visible(False)
    axes.legend(handles=speed + memory, loc="lower right")


def loss_by_epoch(axes: "Axes", history: RunHistory) -> None:
    """Draw the smoothed loss of each epoch over the epoch's own steps, one line an epoch."""
    for label, colour, losses in _epoch_series(history):
        x = np.arange(1, len(losses) + 1)
        axes.plot(*downsample(x, losses, _COLUMNS // 2), color=colour, alpha=0.2, lw=0.7)
        axes.plot(*_trend(x, losses), color=colour, lw=2, label=label)
    _dress(axes, _("Loss by epoch"), _("step within the epoch"), _("loss (nats per token)"))
    _whole_steps(axes)
    axes.legend(loc="upper right", ncols=2)


def volatility(axes: "Axes", history: RunHistory) -> None:
    """Draw the rolling standard deviation of the training loss, the epochs parted by dotted lines."""
    steps, losses = history.points("loss")
    window = max(2, min(max(50, len(losses) // 50), len(losses) // 10))
    spread = rolling_std(losses, window)
    axes.plot(*downsample(steps[window - 1 :], spread, _COLUMNS), color=PURPLE, lw=1.4)
    axes.fill_between(*downsample(steps[window - 1 :], spread, _COLUMNS), color=PURPLE, alpha=0.12, lw=0)
    _part_epochs(axes, history)
    title = _("Volatility: spread of the loss over {n} steps").format(n=window)
    _dress(axes, title, _("step"), _("standard deviation (nats)"))
    _whole_steps(axes)
    axes.set_ylim(bottom=0)


def improvement_rate(axes: "Axes", history: RunHistory) -> None:
    """Draw by how much the smoothed loss falls per step: above zero the model gets better."""
    steps, losses = history.points("loss")
    unit = 10 ** max(0, len(str(len(losses))) - 2)
    label = ngettext("fall of the loss per step", "fall of the loss per {n:,} steps", unit).format(n=unit)
    # Means first: the slope between single steps would be all noise.
    x, means = bucket_means(steps, losses, _COLUMNS // 4)
    weight = smoothing_weight(len(means))
    y = smooth(-np.gradient(smooth(means, weight), x) * unit, weight)
    axes.axhline(0, color=GREY, lw=1)
    axes.plot(x, y, color=GREY, lw=1)
    better = {"color": GREEN, "alpha": 0.55, "lw": 0, "label": _("getting better")}
    worse = {"color": VERMILION, "alpha": 0.55, "lw": 0, "label": _("getting worse"), "hatch": "///"}
    axes.fill_between(x, y, where=y >= 0, interpolate=True, **better)
    axes.fill_between(x, y, where=y < 0, interpolate=True, **worse)
    _part_epochs(axes, history)
    _dress(axes, _("Rate of improvement"), _("step"), label)
    _whole_steps(axes)
    axes.legend(loc="upper right")


def cumulative_loss(axes: "Axes", history: RunHistory) -> None:
    """Draw the running sum of the loss in each epoch: the flatter the line, the more was known."""
    for label, colour, losses in _epoch_series(history):
        x, y = bucket_means(np.arange(1, len(losses) + 1), np.cumsum(losses), _COLUMNS)
        axes.plot(x, y, color=colour, lw=2, label=label)
    _dress(axes, _("Cumulative loss by epoch"), _("step within the epoch"), _("sum of the loss (nats)"))
    _whole_steps(axes)
    axes.yaxis.set_major_formatter(lambda value, _place: f"{value:,.9g}")
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper left")


def learning_curve(axes: "Axes", history: RunHistory, initial_val_loss: float | None) -> None:
    """Draw every step's loss as a dot under its smoothed course and the validation."""
    steps, losses = history.points("loss")
    dots = {"ls": "", "marker": ".", "ms": 4 if len(losses) > 100 else 9, "color": BLUE, "alpha": 0.35}
    apart = -(-len(steps) // (2 * _COLUMNS))
    axes.plot(steps[::apart], losses[::apart], **dots, label=_("training, one step"))
    axes.plot(*_trend(steps, losses), color=BLUE, lw=2.2, label=_("training, smoothed"))
    _validation(axes, history, initial_val_loss)
    _dress(axes, _("Learning curve, smoothed"), _("step"), _("loss (nats per token)"))
    _whole_steps(axes)
    axes.legend(loc="upper right")


def loss_boxes(axes: "Axes", history: RunHistory) -> None:
    """Draw the spread of the training loss in each epoch as a box plot."""
    series = _epoch_series(history)
    names = [label.rpartition(" ")[2] for label, _c, _l in series]
    boxes = axes.boxplot(
        [losses for _l, _c, losses in series],
        tick_labels=names,
        widths=min(0.6, 0.2 * len(series)),
        patch_artist=True,
        medianprops={"color": "black", "lw": 1.6},
        flierprops={"marker": ".", "ms": 3, "mec": GREY, "alpha": 0.4},
    )
    for patch, (_l, colour, _v) in zip(boxes["boxes"], series, strict=True):
        patch.set(facecolor=colour, alpha=0.7)
    _dress(axes, _("Distribution of the loss by epoch"), _("epoch"), _("loss (nats per token)"))
    axes.set_xlim(0.4, len(series) + 0.6)


def _validation(axes: "Axes", history: RunHistory, initial: float | None) -> None:
    steps, losses = history.points("val_loss")
    if not len(steps):
        return
    x, y = downsample(steps, losses, _COLUMNS)
    if initial is not None and np.isfinite(initial):
        x, y = np.insert(x, 0, 0), np.insert(y, 0, initial)
    marker = "o" if len(x) <= 60 else ""
    axes.plot(x, y, color=VERMILION, lw=1.6, marker=marker, ms=5, mec="white", label=_("validation"))
    best = int(np.argmin(losses))
    label = _("best {loss:.2f} at step {step:,}").format(loss=losses[best], step=steps[best])
    style = {"marker": "*", "ms": 17, "color": "#F0C000", "mec": "black", "mew": 0.8}
    axes.plot(steps[best], losses[best], ls="", zorder=5, label=label, **style)


def _trend(x: Ints, y: Floats) -> tuple[Floats, Floats]:
    """Return the smoothed course of a curve, thinned to what a panel can show."""
    xs, means = bucket_means(x, y, 4 * _COLUMNS)
    return bucket_means(xs, smooth(means, smoothing_weight(len(means))), _COLUMNS)


def _epoch_series(history: RunHistory) -> list[tuple[str, str, Floats]]:
    """Return label, colour (dark to light) and finite losses of the epochs that are drawn."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    known = np.isfinite(history.loss)
    epochs, losses = history.epoch[known], history.loss[known]
    chosen = _spread(np.unique(epochs), _EPOCHS)
    shades = np.linspace(0.15, 0.85, len(chosen)) if len(chosen) > 1 else [0.25]
    return [
        (_("epoch {n}").format(n=epoch + 1), to_hex(colormaps["viridis"](shade)), losses[epochs == epoch])
        for epoch, shade in zip(chosen, shades, strict=True)
    ]


def _spread(values: Ints, limit: int) -> list[int]:
    places = np.linspace(0, len(values) - 1, min(limit, len(values))).round().astype(int)
    return [int(value) for value in values[places]]


def _finite(values: Floats) -> Floats:
    known: Floats = values[np.isfinite(values)]
    return known


def _part_epochs(axes: "Axes", history: RunHistory) -> None:
    starts = history.step[1:][np.diff(history.epoch) > 0]
    if len(starts) <= 20:
        for start in starts:
            axes.axvline(start - 0.5, color=GREY, lw=0.9, ls=":")


def _dress(axes: "Axes", title: str, x_label: str, y_label: str) -> None:
    """Give a panel its title, labels and grid: the same look everywhere."""
    axes.set_title(title, loc="left", fontsize=13, fontweight="bold", pad=10)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(axis="y", color="#DDE2E8", lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.02)


def _whole_steps(axes: "Axes") -> None:
    """Label the x axis with whole numbers such as 1,000."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True))
    axes.xaxis.set_major_formatter(lambda value, _place: f"{value:,.0f}")
