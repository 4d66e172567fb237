"""The charts that compare the epochs of a run: each function draws one onto given axes."""

from typing import TYPE_CHECKING

from engine.analysis.drawing import BLUE, COLUMNS, GREY, VERMILION, dress, legend, trend, whole_steps
from engine.analysis.series import Floats, bucket_means, downsample
from engine.analysis.validations import Validations
from engine.i18n import _, number
from engine.training.history import Ints, RunHistory

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Epochs drawn one by one; of more, this many evenly spaced ones.
_EPOCHS = 8


def epoch_means(axes: "Axes", history: RunHistory, checked: Validations) -> None:
    """Draw the mean training loss of each epoch as bars, and its last validation as a diamond.

    An epoch whose last validation was not finite has no diamond.
    """
    epochs = np.unique(history.epoch)
    groups = [(epoch, _finite(history.loss[history.epoch == epoch])) for epoch in _spread(epochs, 24)]
    names = [str(epoch + 1) for epoch, losses in groups if len(losses)]
    means = [float(losses.mean()) for _e, losses in groups if len(losses)]
    bars = axes.bar(
        names, means, width=min(0.6, 0.2 * len(names)), color=BLUE, alpha=0.85, label=_("training, mean")
    )
    if len(names) <= 12:
        inside = {"label_type": "center", "color": "white", "fontweight": "bold"}
        axes.bar_label(bars, fmt=lambda mean: number(mean, ".2f"), **inside)
    places = {epoch: str(epoch + 1) for epoch, losses in groups if len(losses)}
    last = [(places[epoch], loss) for epoch, loss in _last_validations(history, checked) if epoch in places]
    if last:
        x, y = zip(*last, strict=True)
        axes.plot(x, y, ls="", marker="D", ms=8, color=VERMILION, mec="white", label=_("its last validation"))
    dress(axes, _("Mean loss of each epoch"), _("epoch"), _("loss (nats per token)"))
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.set_ylim(0, 1.25 * max([*means, *(value for _n, value in last)]) or 1.0)
    legend(axes)


def loss_by_epoch(axes: "Axes", history: RunHistory, steps_per_epoch: int) -> None:
    """Draw the smoothed loss of each epoch over the epoch's own steps, one line an epoch."""
    for label, colour, x, losses in _epoch_series(history, steps_per_epoch):
        axes.plot(*downsample(x, losses, COLUMNS // 2), color=colour, alpha=0.2, lw=0.7)
        axes.plot(*trend(x, losses), color=colour, lw=2, label=label)
    dress(axes, _("Loss by epoch"), _("step within the epoch"), _("loss (nats per token)"))
    whole_steps(axes)
    legend(axes)


def cumulative_loss(axes: "Axes", history: RunHistory, steps_per_epoch: int) -> None:
    """Draw the running sum of the loss in each epoch: the flatter the line, the more was known."""
    for label, colour, steps, losses in _epoch_series(history, steps_per_epoch):
        x, y = bucket_means(steps, np.cumsum(losses), COLUMNS)
        axes.plot(x, y, color=colour, lw=2, label=label)
    dress(axes, _("Cumulative loss by epoch"), _("step within the epoch"), _("sum of the loss (nats)"))
    whole_steps(axes)
    axes.yaxis.set_major_formatter(lambda value, _place: number(value, ",.9g"))
    axes.set_ylim(bottom=0)
    legend(axes)


def loss_boxes(axes: "Axes", history: RunHistory) -> None:
    """Draw the spread of the training loss in each epoch as a box plot."""
    series = _epoch_series(history, 0)
    names = [label.rpartition(" ")[2] for label, _c, _x, _l in series]
    boxes = axes.boxplot(
        [losses for _l, _c, _x, losses in series],
        tick_labels=names,
        widths=min(0.6, 0.2 * len(series)),
        patch_artist=True,
        medianprops={"color": "black", "lw": 1.6},
        flierprops={"marker": ".", "ms": 3, "mec": GREY, "alpha": 0.4},
    )
    for patch, (_l, colour, _x, _v) in zip(boxes["boxes"], series, strict=True):
        patch.set(facecolor=colour, alpha=0.7)
    dress(axes, _("Distribution of the loss by epoch"), _("epoch"), _("loss (nats per token)"))
    axes.set_xlim(0.4, len(series) + 0.6)


def _epoch_series(history: RunHistory, steps_per_epoch: int) -> list[tuple[str, str, Ints, Floats]]:
    """Return label, colour (dark to light), steps within the epoch and finite losses of the epochs drawn."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    known = np.isfinite(history.loss)
    epochs, losses = history.epoch[known], history.loss[known]
    steps = _steps_within(history, steps_per_epoch)[known]
    chosen = _spread(np.unique(epochs), _EPOCHS)
    shades = np.linspace(0.15, 0.85, len(chosen)) if len(chosen) > 1 else [0.25]
    return [
        (
            _("epoch {n}").format(n=epoch + 1),
            to_hex(colormaps["viridis"](shade)),
            steps[epochs == epoch],
            losses[epochs == epoch],
        )
        for epoch, shade in zip(chosen, shades, strict=True)
    ]


def _steps_within(history: RunHistory, steps_per_epoch: int) -> Ints:
    """Return where in its epoch each step stands, from 1; skipped and lost steps keep their places.

    Without a length of the epoch that fits, an epoch begins with its first recorded step.
    """
    within = history.step - history.epoch * steps_per_epoch
    if steps_per_epoch and within.min() >= 1 and within.max() <= steps_per_epoch:
        return within
    _epochs, first, places = np.unique(history.epoch, return_index=True, return_inverse=True)
    counted: Ints = history.step - history.step[first][places] + 1
    return counted


def _last_validations(history: RunHistory, checked: Validations) -> list[tuple[int, float]]:
    """Return each epoch whose last validation was finite, and its loss."""
    steps = np.concatenate((checked.steps, checked.failed))
    losses = np.concatenate((checked.losses, np.full(len(checked.failed), np.nan)))
    order = np.argsort(steps)
    epochs = history.epoch[np.searchsorted(history.step, steps[order])]
    last = dict(zip(epochs.tolist(), losses[order].tolist(), strict=True))
    return [(epoch, loss) for epoch, loss in last.items() if np.isfinite(loss)]


def _spread(values: Ints, limit: int) -> list[int]:
    places = np.linspace(0, len(values) - 1, min(limit, len(values))).round().astype(int)
    return [int(value) for value in values[places]]


def _finite(values: Floats) -> Floats:
    known: Floats = values[np.isfinite(values)]
    return known
