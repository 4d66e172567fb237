"""The few shapes that the micro-batches of a run are padded to, planned from its data.

The compiled training step is traced anew for every shape it meets, so there
may be only few. The steps of the first epoch are cut as if every shape were
allowed; then the shapes are chosen that those micro-batches are cheapest in.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

from engine.dataset.batches import epoch_steps
from engine.dataset.choosing import Pair, choose
from engine.dataset.cutting import Shape, cut, options_of, pass_cost
from engine.dataset.tokenizing import Example

import numpy as np
from numpy.typing import NDArray

MAX_SHAPES = 16
# Examples of each file that are cut: the order of an epoch is random, so the first are like the others.
_SAMPLE = 16_384
_ALIGNMENT = 4
_POSITIONS_OF_A_STEP = 1600
# Up to so many rows every count may be a shape's, beyond it only equal parts of a step.
_SMALL = 8

Rows = tuple[list[int], list[int]]
"""Tokens and trained tokens of rows that are cut together, shortest first."""


def plan_shapes(
    examples: Sequence[Example],
    validation: Sequence[Example],
    examples_per_step: int,
    seed: int,
    max_tokens: int,
    max_rows: int,
    tile: int = 1,
    limit: int = MAX_SHAPES,
) -> tuple[Shape, ...]:
    """Return at most `limit` shapes, one of which holds any of the examples alone.

    Args:
        examples: the training examples.
        validation: the validation examples.
        examples_per_step: examples of an optimizer step.
        seed: of the run, see `epoch_steps`.
        max_tokens: padded tokens that a micro-batch of several rows may have.
        max_rows: rows a micro-batch may have.
        tile: positions that the attention kernels take at a time, see `padded`.
        limit: most shapes.
    """
    sizes, valid_sizes = _sizes(examples), _sizes(validation)
    every = np.concatenate([sizes, valid_sizes], axis=1)
    longest = padded(int(every[0].max()), tile) if tile > 1 else int(every[0].max())
    steps = epoch_steps(sizes[0], examples_per_step, seed, 0)[: -(-_SAMPLE // examples_per_step)]
    samples = [_rows(sizes[:, step]) for step in steps]
    if len(validation):
        samples.append(_rows(valid_sizes[:, :_SAMPLE]))
    full = max(longest, min(max_tokens, max_rows * longest))
    free = _free_options(_row_counts(examples_per_step, max_rows), longest, max_tokens, tile)
    wanted = Counter(
        (piece.end - piece.begin, piece.shape.length)
        for rows in samples
        for piece in cut(*rows, free, pass_cost(full))
    )
    chosen = choose(wanted, longest, max_tokens, full, limit)
    return _with_targets(chosen, samples, every)


def _sizes(examples: Sequence[Example]) -> NDArray[np.int64]:
    """Return the tokens and the trained tokens of each example, shape (2, count)."""
    lengths = [len(example.tokens) for example in examples]
    trained = [np.count_nonzero(example.trained) for example in examples]
    return np.array([lengths, trained], np.int64)


def _rows(sizes: NDArray[np.int64]) -> Rows:
    lengths, trained = sizes[:, np.argsort(sizes[0], kind="stable")].tolist()
    return lengths, trained


def _row_counts(examples_per_step: int, max_rows: int) -> list[int]:
    """Return row counts that steps may be cut into: all small ones, and a step's equal parts."""
    parts = {-(-examples_per_step // pieces) for pieces in range(1, examples_per_step + 1)}
    return sorted({min(count, max_rows) for count in parts | set(range(1, _SMALL + 1))})


def padded(tokens: int, tile: int) -> int:
    """Return the length to pad a row of `tokens` to.

    The model computes length - 1 positions. Where these fill whole tiles, the backward pass of
    attention needs no score matrix; else it takes about positions / 1600 of a step more
    (a 7B model on an H100, seen at 1,000): whole tiles are taken where they cost less than that.
    """
    positions = tokens - 1
    whole = -(-positions // tile) * tile
    if whole - positions < positions * positions / _POSITIONS_OF_A_STEP:
        return whole + 1
    return _aligned(positions) + 1


def _free_options(
    row_counts: Sequence[int], longest: int, max_tokens: int, tile: int
) -> Callable[[int], list[Shape]]:
    """Return the function from a row's tokens to all shapes that just hold it, of whatever targets."""

    @cache
    def options(tokens: int) -> list[Shape]:
        length = min(padded(tokens, tile) if tile > 1 else _aligned(tokens), longest)
        if tokens <= max_tokens:
            length = min(length, max_tokens)
        return [Shape(n, length, n * length) for n in row_counts if n == 1 or n * length <= max_tokens]

    return options


def _with_targets(
    chosen: Sequence[Pair], samples: Sequence[Rows], every: NDArray[np.int64]
) -> tuple[Shape, ...]:
    """Give each shape room for the targets it met in the samples, and for any single example it holds.

    Another epoch mixes the rows in another way, so there is room for a standard deviation more.
    """
    free = [Shape(rows, length, rows * length) for rows, length in chosen]
    met = {shape: 0 for shape in free}
    for lengths, trained in samples:
        for begin, end, shape in cut(lengths, trained, *options_of(free)):
            met[shape] = max(met[shape], sum(trained[begin:end]))
    spread = float((every[1] / every[0]).std())
    return tuple(_with_room(shape, count, spread, every) for shape, count in met.items())


def _with_room(shape: Shape, met: int, spread: float, every: NDArray[np.int64]) -> Shape:
    """Return a shape with its final targets; `spread` is that of the share of trained tokens in a row."""
    lengths, trained = every
    held = trained[lengths <= shape.length]
    single = int(held.max(initial=1))
    likely = met + math.ceil(spread * shape.length * math.sqrt(shape.rows)) if met else 0
    targets = max(single, min(likely, single * shape.rows))
    return replace(shape, targets=min(_aligned(targets), shape.rows * (shape.length - 1)))


def _aligned(count: int) -> int:
    return -(-count // _ALIGNMENT) * _ALIGNMENT
