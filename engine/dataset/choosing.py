"""Choosing the few shapes that many micro-batches are cheapest in: a k-median problem, solved nearly."""

from collections import Counter
from collections.abc import Sequence

from engine.dataset.cutting import pass_cost

import numpy as np
from numpy.typing import NDArray

# Row counts and lengths that shapes are made of, where the data have more.
_MOST_ROWS, _MOST_LENGTHS = 16, 32
# A shape must save this share of all tokens, and the cost of a pass: tracing and compiling it takes seconds.
_LEAST_GAIN = 1e-3

Pair = tuple[int, int]
"""Rows and length of a micro-batch."""
Costs = NDArray[np.float64]


def choose(wanted: Counter[Pair], longest: int, max_tokens: int, full: int, limit: int) -> list[Pair]:
    """Return at most `limit` (rows, length) that micro-batches of the `wanted` ones are cheapest in.

    One after the other the one that saves most is taken, then single ones are
    exchanged as long as that saves anything.

    Args:
        wanted: how often micro-batches of each (rows, length) occur.
        longest: tokens that one of the chosen lengths must hold.
        max_tokens: rows x length may be at most that, except for a single row.
        full: tokens of a full pass.
        limit: most pairs.
    """
    candidates = _candidates(wanted, longest, max_tokens)
    costs = _costs(wanted, candidates, pass_cost(full))
    must = np.array([length == longest for _rows, length in candidates])
    total = sum(rows * length * times for (rows, length), times in wanted.items())
    chosen = _taken_in_turn(costs, must, max(pass_cost(full), _LEAST_GAIN * total), limit)
    while exchange := _best_exchange(costs, must, chosen):
        chosen[exchange[0]] = exchange[1]
    return sorted(candidates[index] for index in chosen)


def _candidates(wanted: Counter[Pair], longest: int, max_tokens: int) -> list[Pair]:
    """Return every allowed pair of the (most important) row counts and lengths that are wanted."""
    weights = np.array([rows * length * times for (rows, length), times in wanted.items()])
    row_counts, lengths = np.array(list(wanted)).T
    return [
        (rows, length)
        for length in sorted({*_spread(lengths, weights, _MOST_LENGTHS), longest})
        for rows in sorted({1, *_spread(row_counts, weights, _MOST_ROWS)})
        if rows == 1 or rows * length <= max_tokens
    ]


def _spread(values: NDArray[np.int64], weights: NDArray[np.int64], most: int) -> list[int]:
    """Return at most `most` of the distinct values: the last, and others with equal weight between them."""
    distinct, index = np.unique(values, return_inverse=True)
    if len(distinct) > most:
        below = np.cumsum(np.bincount(index, weights))
        distinct = np.unique(distinct[np.searchsorted(below, below[-1] * np.arange(1, most + 1) / most)])
    return [int(value) for value in distinct]


def _costs(wanted: Counter[Pair], candidates: Sequence[Pair], extra: int) -> Costs:
    """Return what all micro-batches of a wanted pair cost in each candidate, shape (wanted, candidates).

    A candidate with fewer rows takes several passes; one that is too short is infinitely dear.
    """
    rows, length = np.array(list(wanted)).T[:, :, None]
    times = np.array(list(wanted.values()))[:, None]
    shape_rows, shape_length = np.array(candidates).T[:, None, :]
    cost = times * -(-rows // shape_rows) * (shape_rows * shape_length + extra)
    return np.where(shape_length >= length, cost, np.inf)


def _taken_in_turn(costs: Costs, must: NDArray[np.bool_], least: float, limit: int) -> list[int]:
    """Take the cheapest column of those that hold everything, then again the one that saves most."""
    chosen = [int(np.argmin(np.where(must, costs.sum(axis=0), np.inf)))]
    paid = costs[:, chosen[0]]
    while len(chosen) < limit:
        totals = np.minimum(paid[:, None], costs).sum(axis=0)
        best = int(totals.argmin())
        if paid.sum() - totals[best] < least:
            break
        chosen.append(best)
        paid = np.minimum(paid, costs[:, best])
    return chosen


def _best_exchange(costs: Costs, must: NDArray[np.bool_], chosen: Sequence[int]) -> tuple[int, int] | None:
    """Return the place in `chosen` and the column to put there that save most; None if nothing does."""
    found, lowest = None, costs[:, chosen].min(axis=1).sum()
    for place in range(len(chosen)):
        others = [index for index in chosen if index != chosen[place]]
        paid = costs[:, others].min(axis=1, initial=np.inf)
        totals = np.minimum(paid[:, None], costs).sum(axis=0)
        totals = totals if must[others].any() else np.where(must, totals, np.inf)
        best = int(totals.argmin())
        if totals[best] < lowest:
            found, lowest = (place, best), totals[best]
    return found
