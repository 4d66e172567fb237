"""What the losses and the speeds of a run come to: numbers worked out from one column each."""

from engine.training.history import Floats

import numpy as np

RECENT = 10
"""Steps that a level is the mean of."""
_LEAST_SPIKE, _SPIKE_NOISE = 0.5, 6.0
"""Nats, and standard deviations."""
_EARLY = 5
"""Steps whose mean is taken for the level at the start."""
_NORMAL = 0.6745
"""Median distance from the mean of a normal distribution, in standard deviations."""


def ends(losses: Floats) -> tuple[float | None, float | None]:
    """Return the mean of the first 10 values and of the last; of each half where there are fewer than 20."""
    if not len(losses):
        return None, None
    count = _span(losses)
    return float(losses[:count].mean()), float(losses[-count:].mean())


def recent_mean(losses: Floats) -> float | None:
    """Return the mean of the last 10 values; of the second half where there are fewer than 20."""
    return float(losses[-_span(losses) :].mean()) if len(losses) else None


def late_median(losses: Floats) -> float | None:
    """Return the median of the values that `ends` averages at the end: one of them alone cannot move it."""
    return float(np.median(losses[-_span(losses) :])) if len(losses) else None


def lowest_level(losses: Floats) -> float | None:
    """Return the lowest mean of the pieces of about 10 values that the losses are cut into."""
    if not len(losses):
        return None
    span = _span(losses)
    starts = np.arange(len(losses) // span) * span  # the last piece takes what is left over
    counts = np.diff(np.append(starts, len(losses)))
    return float((np.add.reduceat(losses, starts) / counts).min())


def noise(losses: Floats) -> float | None:
    """Return the standard deviation of single values, from the differences of neighbours; from 9 values.

    Outliers and the slow course of the loss hardly count in a median of differences.
    """
    if len(losses) < 9:
        return None
    return float(np.median(np.abs(np.diff(losses)))) / (_NORMAL * 2**0.5)


def late_fall(losses: Floats) -> float | None:
    """Return the share by which the mean fell from the second to the last third; from 9 values."""
    third = len(losses) // 3
    if third < 3:
        return None
    middle, end = float(losses[third : 2 * third].mean()), float(losses[2 * third :].mean())
    return 1 - end / middle if middle > 0 else None


def late_share(losses: Floats) -> float | None:
    """Return what share of its fall the loss fell by from the second to the last third; from 9 values.

    A steady fall has 0.4 to 0.5, one towards a level that it nearly reaches less than 0.1.
    """
    third = len(losses) // 3
    if third < 3:
        return None
    first, _last = ends(losses)
    end = float(losses[2 * third :].mean())
    fall = (first or 0.0) - end
    return (float(losses[third : 2 * third].mean()) - end) / fall if fall > 0 else None


def spikes(losses: Floats, scatter: float | None) -> int:
    """Return how many values lie far above the median of the 9 around them; from 20 values.

    Far is half a nat and 6 times `scatter`, their `noise`: rows that differ do not come there.
    """
    if len(losses) < 20:
        return 0
    low = losses - max(_LEAST_SPIKE, _SPIKE_NOISE * (scatter or 0.0))
    around = np.pad(losses, 4, mode="reflect")
    below = sum((around[shift : shift + len(losses)] < low).astype(np.int8) for shift in range(9))
    return int(np.count_nonzero(below >= 5))  # as many are below a value as is their median


def early_rise(losses: Floats, scatter: float | None) -> float | None:
    """Return by how much the loss rose above its first 5 values in the first third; None if not clearly.

    Clearly is by 5 % and by 3 standard deviations of the difference between two means of 5, with `scatter`,
    their `noise`, as that of a single value.
    """
    third = len(losses) // 3
    if third < 2 * _EARLY:
        return None
    first = float(losses[:_EARLY].mean())
    later = np.lib.stride_tricks.sliding_window_view(losses[_EARLY:third], _EARLY).mean(axis=-1)
    rise = float(later.max()) - first
    by_chance = 3 * (scatter or 0.0) * (2 / _EARLY) ** 0.5
    return rise if rise > max(0.05 * first, by_chance) else None


def slowdown(speeds: Floats) -> float | None:
    """Return the median speed of the last tenth over that of the first; from 20 values."""
    tenth = len(speeds) // 10
    if tenth < 2:
        return None
    start = float(np.median(speeds[:tenth]))
    return float(np.median(speeds[-tenth:])) / start if start > 0 else None


def _span(losses: Floats) -> int:
    return min(RECENT, max(1, len(losses) // 2))
