"""Cutting the rows of an optimizer step into micro-batches of given shapes, as cheaply as possible."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple, Self


@dataclass(frozen=True)
class BatchShape:
    """What a micro-batch is padded to; the compiled training step is traced once for each."""

    rows: int
    length: int
    """Positions of a row as attention sees it: one at least is free, since a row's last token is only
    predicted."""
    targets: int
    """Positions that carry loss."""
    tokens: int
    """Tokens computed everywhere else: those of all rows but each row's last, and at least one of padding;
    or all positions, see `is_padded`."""
    overhead: float = 0.0
    """What a pass costs besides its tokens, counted in tokens."""

    @classmethod
    def full(cls, rows: int, length: int, targets: int) -> Self:
        """Return the shape with as many tokens as its rows can hold."""
        return cls(rows, length, targets, rows * (length - 1) + 1)

    @property
    def area(self) -> int:
        """Positions of the padded rows."""
        return self.rows * self.length

    @property
    def is_padded(self) -> bool:
        """Whether padding is computed like everything else: nothing is moved for attention then."""
        return self.tokens == self.area

    @property
    def fill(self) -> float:
        """Share of `area` that is computed where attention is not."""
        return min(1.0, self.tokens / self.area)

    @property
    def trained(self) -> float:
        """Share of `area` that carries loss."""
        return self.targets / self.area


class Piece(NamedTuple):
    """Rows `begin` to `end` (exclusive) go through the model together."""

    begin: int
    end: int
    shape: BatchShape


ShapeOptions = Callable[[int], Sequence[BatchShape]]
"""The shapes there are for a longest row of so many tokens; one of them holds that row alone."""


def cut(
    lengths: Sequence[int], trained: Sequence[int], options: ShapeOptions, is_exact: bool = False
) -> list[Piece]:
    """Cut rows into consecutive pieces as cheaply as possible.

    Dynamic programming over the number of rows placed. Of what a shape could
    hold it is given the most: leaving a row out never makes the others cheaper.

    Args:
        lengths: tokens of each row, rising.
        trained: tokens of each row that carry loss, at least 1.
        options: the shapes to choose from.
        is_exact: a piece has no more tokens than its rows do, whatever its shape would hold.
    """
    targets = list(accumulate(trained, initial=0))
    tokens = list(accumulate((length - 1 for length in lengths), initial=0))
    paid, last = [0.0], [Piece(0, 0, BatchShape(0, 0, 0, 0))]
    for end, longest in enumerate(lengths, start=1):
        cheapest, piece = -1.0, last[0]
        for shape in options(longest):
            begin = max(
                0,
                end - shape.rows,
                bisect_left(targets, targets[end] - shape.targets),
                bisect_left(tokens, tokens[end] + 1 - shape.tokens),
            )
            if begin < end:  # else the row alone is too much
                computed = tokens[end] - tokens[begin] + 1 if is_exact else shape.tokens
                cost = paid[begin] + computed + shape.overhead
                if cheapest < 0 or cost < cheapest:
                    cheapest, piece = cost, Piece(begin, end, shape)
        if cheapest < 0:
            raise ValueError(f"no shape holds a row of length {longest}")
        paid.append(cheapest)
        last.append(piece)
    return _followed_back(last)


def options_of(shapes: Sequence[BatchShape]) -> ShapeOptions:
    """Return the options that a run's shapes are."""

    def options(longest: int) -> list[BatchShape]:
        return [shape for shape in shapes if shape.length >= longest]

    return options


def _followed_back(last: Sequence[Piece]) -> list[Piece]:
    """Return the pieces of the whole, given the last piece of each beginning of it."""
    pieces, end = [], len(last) - 1
    while end:
        pieces.append(last[end])
        end = last[end].begin
    return pieces[::-1]
