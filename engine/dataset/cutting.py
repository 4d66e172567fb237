"""Cutting the rows of an optimizer step into micro-batches of given shapes, as cheaply as possible."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

# A pass through the model costs as much as this share of the tokens of a full one, however few
# it has: every weight is read, and on a GPU unpacked, once for each pass.
_PASS_SHARE = 8


@dataclass(frozen=True)
class Shape:
    """What a micro-batch is padded to; the compiled training step is traced once for each."""

    rows: int
    length: int
    """Tokens of a row."""
    targets: int
    """Positions that carry loss."""

    @property
    def tokens(self) -> int:
        """Tokens computed, padding included."""
        return self.rows * self.length


class Piece(NamedTuple):
    """Rows `begin` to `end` (exclusive) go through the model together."""

    begin: int
    end: int
    shape: Shape


Options = Callable[[int], Sequence[Shape]]
"""The shapes there are for a longest row of so many tokens; one of them holds that row alone."""


def pass_cost(tokens: int) -> int:
    """Return what a pass costs besides its tokens, counted in tokens, where a full one has `tokens`."""
    return max(1, tokens // _PASS_SHARE)


def cut(lengths: Sequence[int], trained: Sequence[int], options: Options, extra: int) -> list[Piece]:
    """Cut rows into consecutive pieces with the fewest tokens computed, passes counted in.

    Dynamic programming over the number of rows placed. Of what a shape could
    hold it is given the most: leaving a row out never makes the others cheaper.

    Args:
        lengths: tokens of each row, rising.
        trained: tokens of each row that carry loss, at least 1.
        options: the shapes to choose from.
        extra: cost of a piece besides its tokens, see `pass_cost`.
    """
    sums = list(accumulate(trained, initial=0))
    costs, last = [0], [Piece(0, 0, Shape(0, 0, 0))]
    for end, longest in enumerate(lengths, start=1):
        cheapest, piece = -1, last[0]
        for shape in options(longest):
            begin = max(0, end - shape.rows, bisect_left(sums, sums[end] - shape.targets))
            if begin < end:  # else the row alone has too many targets
                cost = costs[begin] + shape.tokens + extra
                if cheapest < 0 or cost < cheapest:
                    cheapest, piece = cost, Piece(begin, end, shape)
        if cheapest < 0:
            raise ValueError(f"no shape holds a row of {longest} tokens")
        costs.append(cheapest)
        last.append(piece)
    return _followed_back(last)


def options_of(shapes: Sequence[Shape]) -> tuple[Options, int]:
    """Return what `cut` needs to know of a run's shapes: the options, and what a pass costs."""

    def options(longest: int) -> list[Shape]:
        return [shape for shape in shapes if shape.length >= longest]

    return options, pass_cost(max(shape.tokens for shape in shapes))


def _followed_back(last: Sequence[Piece]) -> list[Piece]:
    """Return the pieces of the whole, given the last piece of each beginning of it."""
    pieces, end = [], len(last) - 1
    while end:
        pieces.append(last[end])
        end = last[end].begin
    return pieces[::-1]
