"""Choosing the few shapes that many micro-batches are cheapest in: a k-median problem, solved nearly."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# A pass through the model costs as much as this share of the tokens of a full one, however few
# it has: every weight is read, and on a GPU unpacked, once for each pass.
_PASS_SHARE = 8
# A position of the padded rows that attention sees costs a share of a token for each position of its
# row, with kernels that take whole tiles and with a score matrix (8 rows of 1,000 took 62 % more), and
# another for being copied where tokens stand without padding. That is measured: with a 7B model on an H100
# 24 of 500 ms for 8,192 positions, where 1,000 tokens less save 39 ms; 3 % with a 135M model on a CPU.
_KERNEL_POSITIONS, _MATRIX_POSITIONS = 16_000, 1_600
_KERNEL_COPY, _MATRIX_COPY = 3 / 40, 1 / 32
# Row counts, lengths and numbers of tokens that shapes are made of, where the data have more.
_MOST_ROWS, _MOST_LENGTHS, _MOST_TOKENS = 8, 16, 16
# A shape must save this share of all tokens, and of a full pass's: tracing it takes about as long.
_LEAST_GAIN = 1e-3
_TRACING = 0.5


@dataclass(frozen=True)
class Costs:
    """What passes cost besides their tokens, counted in tokens."""

    full: int
    """Tokens of a full pass."""
    has_kernels: bool
    """Whether attention has kernels for the backward pass, see `engine.backend.attention_tile`."""

    @property
    def a_pass(self) -> int:
        """Of any pass, however small."""
        return max(1, self.full // _PASS_SHARE)

    def overhead(self, rows: int, length: int, tokens: int) -> float:
        """Return what a pass of these rows costs besides its tokens; see `BatchShape` for what they are."""
        positions, copy = (
            (_KERNEL_POSITIONS, _KERNEL_COPY) if self.has_kernels else (_MATRIX_POSITIONS, _MATRIX_COPY)
        )
        is_copied = tokens < rows * length
        return self.a_pass + rows * length * (length / positions + copy * is_copied)


class Size(NamedTuple):
    """A micro-batch as far as it is chosen here."""

    rows: int
    length: int
    """Tokens of a row."""
    tokens: int
    """Tokens computed, see `BatchShape.tokens`."""


Matrix = NDArray[np.float64]


def choose(wanted: Counter[Size], longest: Size, max_tokens: int, costs: Costs, limit: int) -> list[Size]:
    """Return at most `limit` sizes that micro-batches of the `wanted` ones are cheapest in.

    One after the other the one that saves most is taken, then single ones are
    exchanged as long as that saves anything.

    Args:
        wanted: how often micro-batches of each size occur.
        longest: size of the longest row alone; one of the chosen lengths holds it.
        max_tokens: rows x length may be at most that, except for a single row.
        costs: what passes and rows cost besides tokens.
        limit: most sizes.
    """
    levels = _levels(wanted, longest)
    wanted = _rounded_up(wanted, levels)
    candidates = _candidates(levels, max_tokens)
    matrix = _cost_matrix(wanted, candidates, costs)
    # One that holds the longest row has to be among the chosen, else that row would fit nowhere.
    must = np.array([size.length == longest.length for size in candidates])
    total = sum(size.tokens * times for size, times in wanted.items())
    chosen = _taken_in_turn(matrix, must, max(_TRACING * costs.full, _LEAST_GAIN * total), limit)
    while exchange := _best_exchange(matrix, must, chosen):
        chosen[exchange[0]] = exchange[1]
    return sorted(candidates[index] for index in chosen)


def _levels(wanted: Counter[Size], longest: Size) -> tuple[list[int], list[int], list[int]]:
    """Return the (most important) row counts, lengths and numbers of tokens that are wanted."""
    weights = np.array([size.tokens * times for size, times in wanted.items()])
    row_counts, lengths, tokens = np.array(list(wanted)).T  # three of (wanted,)
    return (
        sorted({1, *_spread(row_counts, weights, _MOST_ROWS)}),
        sorted({*_spread(lengths, weights, _MOST_LENGTHS), longest.length}),
        sorted({*_spread(tokens, weights, _MOST_TOKENS), longest.tokens}),
    )


def _spread(values: NDArray[np.int64], weights: NDArray[np.int64], most: int) -> list[int]:
    """Return at most `most` of the distinct values: the last, and others with equal weight between them."""
    distinct, index = np.unique(values, return_inverse=True)
    if len(distinct) > most:
        # Weight up to each value, and the values at which 1/most, 2/most, ... of it is reached.
        below = np.cumsum(np.bincount(index, weights))
        distinct = np.unique(distinct[np.searchsorted(below, below[-1] * np.arange(1, most + 1) / most)])
    return [int(value) for value in distinct]


def _rounded_up(wanted: Counter[Size], levels: Sequence[list[int]]) -> Counter[Size]:
    """Count the wanted sizes as the levels that hold them."""
    rounded: Counter[Size] = Counter()
    for size, times in wanted.items():
        rounded[Size(*(of[bisect_left(of, value)] for of, value in zip(levels, size, strict=True)))] += times
    return rounded


def _candidates(levels: tuple[list[int], list[int], list[int]], max_tokens: int) -> list[Size]:
    """Return every allowed size made of the levels: it has room for a full row, and for no more than all.

    Those whose tokens are all positions of their rows are among them.
    """
    row_counts, lengths, all_tokens = levels
    found = set()
    for rows in row_counts:
        for length in lengths:
            if rows > 1 and rows * length > max_tokens:
                continue
            fitting = [tokens for tokens in all_tokens if tokens >= length]
            full = bisect_left(fitting, rows * length)
            found |= {Size(rows, length, tokens) for tokens in (*fitting[:full], rows * length)}
    return sorted(found)


def _cost_matrix(wanted: Counter[Size], candidates: Sequence[Size], costs: Costs) -> Matrix:
    """Return what all micro-batches of a wanted size cost in each candidate, shape (wanted, candidates).

    A candidate with fewer rows or tokens takes several passes; one that is too short is infinitely dear.
    """
    rows, length, tokens = np.array(list(wanted)).T[:, :, None]  # three of (wanted, 1)
    times = np.array(list(wanted.values()))[:, None]
    of_one = [size.tokens + costs.overhead(*size) for size in candidates]
    shape_rows, shape_length, shape_tokens = np.array(candidates).T[:, None, :]  # three of (1, candidates)
    passes = np.maximum(-(-rows // shape_rows), -(-tokens // shape_tokens))
    return np.where(shape_length >= length, times * passes * np.array(of_one), np.inf)


def _taken_in_turn(costs: Matrix, must: NDArray[np.bool_], least: float, limit: int) -> list[int]:
    """Take the cheapest column of those that hold everything, then again the one that saves most."""
    chosen = [int(np.argmin(np.where(must, costs.sum(axis=0), np.inf)))]
    paid = costs[:, chosen[0]]  # what each wanted size costs in the cheapest of those chosen, (wanted,)
    while len(chosen) < limit:
        # What all cost if a column joined those chosen: each micro-batch takes its cheapest, (candidates,).
        totals = np.minimum(paid[:, None], costs).sum(axis=0)
        best = int(totals.argmin())
        if paid.sum() - totals[best] < least:
            break
        chosen.append(best)
        paid = np.minimum(paid, costs[:, best])
    return chosen


def _best_exchange(costs: Matrix, must: NDArray[np.bool_], chosen: Sequence[int]) -> tuple[int, int] | None:
    """Return the place in `chosen` and the column to put there that save most; None if nothing does."""
    found, lowest = None, costs[:, chosen].min(axis=1).sum()
    for place in range(len(chosen)):
        others = [index for index in chosen if index != chosen[place]]
        paid = costs[:, others].min(axis=1, initial=np.inf)  # without the one in question, (wanted,)
        totals = np.minimum(paid[:, None], costs).sum(axis=0)
        totals = totals if must[others].any() else np.where(must, totals, np.inf)
        best = int(totals.argmin())
        if totals[best] < lowest * (1 - 1e-12):  # sums of floats in another order are not a gain
            found, lowest = (place, best), totals[best]
    return found
