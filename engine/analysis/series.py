"""Thinning and smoothing of curves before they are drawn."""

from itertools import accumulate

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_BLOCK = 64
"""Values that are averaged at once."""


def downsample(x: ArrayLike, y: ArrayLike, buckets: int) -> tuple[Floats, Floats]:
    """Thin a curve to at most two points a bucket, its lowest and its highest, so that no spike is lost.

    Points that are not finite are left out. With one bucket per column of the plot
    the picture is the same as that of the whole curve.
    """
    xs, ys = _finite(x, y)
    size = _bucket_size(len(xs), buckets)
    if size <= 2:
        return xs, ys
    rows = _rows(ys, size)
    first = np.arange(len(rows)) * size
    extremes = np.concatenate((first + rows.argmin(axis=1), first + rows.argmax(axis=1)))
    chosen = np.unique(extremes)
    return xs[chosen], ys[chosen]


def bucket_means(x: ArrayLike, y: ArrayLike, buckets: int) -> tuple[Floats, Floats]:
    """Thin a curve to the mean of x and y in each bucket; points that are not finite are left out."""
    xs, ys = _finite(x, y)
    size = _bucket_size(len(xs), buckets)
    if size <= 1:
        return xs, ys
    starts = np.arange(0, len(xs), size)
    counts = np.diff(np.append(starts, len(xs)))
    return np.add.reduceat(xs, starts) / counts, np.add.reduceat(ys, starts) / counts


def smooth(y: ArrayLike, weight: float) -> Floats:
    """Return the debiased exponential moving average of `y`.

    With m_t = weight * m_(t-1) + (1 - weight) * y_t and m_0 = 0 the result is
    m_t / (1 - weight^t), the bias correction of Adam (Kingma and Ba 2015, section 3):
    the first value is the first of `y`, not pulled towards 0. A value that is not finite
    repeats the average before it; those at the start take the first finite one. The
    result is empty if no value is finite.

    Args:
        y: the values, shape (n,).
        weight: 0 (no smoothing) to below 1.
    """
    values = np.asarray(y, np.float64)
    known = np.isfinite(values)
    if not known.any():
        return np.empty(0)
    averages = _averages(values[known], weight)
    averages /= 1 - weight ** np.arange(1, len(averages) + 1)
    held: Floats = averages[np.maximum(np.cumsum(known) - 1, 0)]
    return held


def _averages(values: Floats, weight: float) -> Floats:
    """Return m_t of `smooth`, block by block: one loop over a million steps would hold the others up."""
    rows = np.pad(values, (0, -len(values) % _BLOCK)).reshape(-1, _BLOCK)
    powers = weight ** np.arange(_BLOCK + 1)
    ages = np.subtract.outer(np.arange(_BLOCK), np.arange(_BLOCK))
    within = rows @ np.where(ages >= 0, (1 - weight) * powers[np.abs(ages)], 0.0).T
    carried = accumulate(within[:-1, -1].tolist(), lambda m, end: powers[-1] * m + end, initial=0.0)
    starts = np.fromiter(carried, np.float64)
    averages: Floats = (within + np.multiply.outer(starts, powers[1:])).ravel()[: len(values)]
    return averages


def smoothing_span(count: int) -> float:
    """Return over how many of `count` values `smooth` averages if nothing else is asked for: a twentieth."""
    return max(3.0, count / 20)


def weight_of(span: float) -> float:
    """Return the weight at which `smooth` averages over about `span` values; 0 for one."""
    return 1 - 2 / (max(span, 1.0) + 1)


def smoothing_weight(count: int) -> float:
    """Return the weight at which `smooth` averages over about a twentieth of `count` values, at least 3."""
    return weight_of(smoothing_span(count))


def rolling_std(y: ArrayLike, window: int) -> Floats:
    """Return the standard deviation of each `window` neighbouring values; n - window + 1 results."""
    values = np.asarray(y, np.float64)
    values = values - values.mean()  # sums of squares around the mean lose no digits
    sums = np.cumsum(np.insert(values, 0, 0.0))
    squares = np.cumsum(np.insert(values**2, 0, 0.0))
    mean = (sums[window:] - sums[:-window]) / window
    spread: Floats = np.sqrt(np.maximum((squares[window:] - squares[:-window]) / window - mean**2, 0.0))
    return spread


def _finite(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    xs, ys = np.asarray(x, np.float64), np.asarray(y, np.float64)
    known = np.isfinite(xs) & np.isfinite(ys)
    return xs[known], ys[known]


def _bucket_size(count: int, buckets: int) -> int:
    return -(-count // max(buckets, 1))


def _rows(values: Floats, size: int) -> Floats:
    """Cut into rows of `size`; the last row is filled up with its own last value."""
    missing = -len(values) % size
    return np.pad(values, (0, missing), mode="edge").reshape(-1, size)
