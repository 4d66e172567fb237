"""The few shapes that the micro-batches of a run are padded to, planned from its data.

The compiled training step is traced anew for every shape it meets, so there
may be only few. The steps of a run are cut as if every shape were allowed; then the
shapes are chosen that those micro-batches are cheapest in.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

from engine.dataset.batches.bucket_search import Costs, Size, choose
from engine.dataset.batches.cut import BatchShape, cut, options_of
from engine.dataset.batches.divide import divide
from engine.dataset.batches.micro_batch import epoch_steps, targets_of
from engine.dataset.batches.tokenize import Example

import numpy as np
from numpy.typing import NDArray

MAX_SHAPES = 16
# Examples that are cut: the order of an epoch is random, so the first are like the others.
_SAMPLE = 16_384
_ALIGNMENT = 4
# Up to so many rows every count may be a shape's, beyond it only equal parts of a step.
_SMALL = 8

RowLengths = tuple[list[int], list[int]]
"""Tokens and trained tokens of rows that are cut together, shortest first."""


@dataclass(frozen=True)
class Limits:
    """What a micro-batch may be."""

    max_tokens: int
    """Rows x length, padding included, of a micro-batch of several rows."""
    max_rows: int
    tile: int = 1
    """Positions that attention's kernels take at a time; 1 where there are none."""

    @property
    def alignment(self) -> int:
        """Rows of matrices come in multiples of this: fast products want such."""
        return max(self.tile, _ALIGNMENT)

    def padded(self, tokens: int) -> int:
        """Return the length to pad a row of `tokens` to: whole tiles, else attention's kernels do not apply.

        MLX's backward pass of attention holds a score matrix then.
        """
        return _aligned(tokens, self.tile if self.tile > 1 else _ALIGNMENT)


def plan_shapes(
    examples: Sequence[Example],
    validation: Sequence[Example],
    examples_per_step: int,
    seed: int,
    limits: Limits,
    epochs: int = 1,
    most: int = MAX_SHAPES,
    speeds: Sequence[float] = (1.0,),
    prompt_weight: float = 0.0,
) -> tuple[BatchShape, ...]:
    """Return at most `most` shapes, one of which holds any of the examples alone.

    Args:
        examples: the training examples.
        validation: the validation examples.
        examples_per_step: examples of an optimizer step.
        seed: of the run, see `epoch_steps`.
        limits: of each micro-batch.
        epochs: of the run.
        most: shapes.
        speeds: of the processes that a step's rows are divided over.
        prompt_weight: see `targets_of`; validation counts none but the tokens that are trained in full.
    """
    sizes, valid_sizes = _sizes(examples, prompt_weight), _sizes(validation)
    every = np.concatenate([sizes, valid_sizes], axis=1)
    steps = _first_steps(sizes[0], examples_per_step, seed, epochs)
    samples = _shares(sizes, steps, speeds)
    most_rows = examples_per_step if len(speeds) == 1 else max(len(lengths) for lengths, _trained in samples)
    if len(validation):
        samples.append(_rows(valid_sizes[:, :_SAMPLE]))
    top = int(every[0].max())
    longest = limits.padded(top) if limits.tile > 1 else top
    full = max(longest, min(limits.max_tokens, limits.max_rows * longest))
    costs = Costs(full, limits.tile > 1)
    free = _free_options(_row_counts(most_rows, limits.max_rows), longest, limits, costs)
    alone = Size(1, longest, _aligned(longest, limits.alignment))
    chosen = choose(_met(samples, free, limits), alone, limits.max_tokens, costs, most)
    return _with_targets(chosen, costs, samples, every)


def _first_steps(
    lengths: NDArray[np.int64], examples_per_step: int, seed: int, epochs: int
) -> list[NDArray[np.int64]]:
    """Return the examples of a run's first steps, `_SAMPLE` examples at least if there are so many."""
    steps: list[NDArray[np.int64]] = []
    for epoch in range(epochs):
        steps += epoch_steps(lengths.tolist(), examples_per_step, seed, epoch)
        if len(steps) * examples_per_step >= _SAMPLE:
            break
    return steps[: -(-_SAMPLE // examples_per_step)]


def _shares(
    sizes: NDArray[np.int64], steps: Sequence[NDArray[np.int64]], speeds: Sequence[float]
) -> list[RowLengths]:
    """Return what each process gets of each step; who gets nothing is left out."""
    return [
        _rows(sizes[:, step[share]])
        for step in steps
        for share in divide(sizes[0, step].tolist(), speeds)
        if share
    ]


def _met(
    samples: Sequence[RowLengths], free: Callable[[int], list[BatchShape]], limits: Limits
) -> Counter[Size]:
    """Return how often each size of micro-batch is met where all of `free` are allowed."""
    return Counter(
        _size(lengths[begin:end], shape, limits)
        for lengths, trained in samples
        for begin, end, shape in cut(lengths, trained, free, is_exact=True)
    )


def _sizes(examples: Sequence[Example], prompt_weight: float = 0.0) -> NDArray[np.int64]:
    """Return the tokens of each example and those that carry loss, shape (2, count)."""
    lengths = [len(example.tokens) for example in examples]
    trained = [np.count_nonzero(targets_of(example, prompt_weight)) for example in examples]
    return np.array([lengths, trained], np.int64)


def _rows(sizes: NDArray[np.int64]) -> RowLengths:
    lengths, trained = sizes[:, np.argsort(sizes[0], kind="stable")].tolist()
    return lengths, trained


def _row_counts(examples_per_step: int, max_rows: int) -> list[int]:
    """Return row counts that steps may be cut into: all small ones, and a step's equal parts."""
    parts = {-(-examples_per_step // pieces) for pieces in range(1, examples_per_step + 1)}
    return sorted({min(count, max_rows) for count in parts | set(range(1, _SMALL + 1))})


def _free_options(
    row_counts: Sequence[int], longest: int, limits: Limits, costs: Costs
) -> Callable[[int], list[BatchShape]]:
    """Return the function from a row's tokens to all shapes that just hold it, of whatever targets.

    They count as moved for attention (0 tokens is less than any area): how many tokens each has is only
    known when it is cut.
    """

    @cache
    def options(tokens: int) -> list[BatchShape]:
        length = min(limits.padded(tokens), longest)
        if tokens <= limits.max_tokens:
            length = min(length, limits.max_tokens)
        counts = [n for n in row_counts if n == 1 or n * length <= limits.max_tokens]
        return [BatchShape(n, length, n * length, n * length, costs.overhead(n, length, 0)) for n in counts]

    return options


def _size(lengths: Sequence[int], shape: BatchShape, limits: Limits) -> Size:
    """Return the size of a micro-batch of rows of these lengths; it can hold one full row at least."""
    tokens = sum(lengths) - len(lengths) + 1
    return Size(shape.rows, shape.length, _aligned(max(tokens, shape.length), limits.alignment))


def _with_targets(
    chosen: Sequence[Size], costs: Costs, samples: Sequence[RowLengths], every: NDArray[np.int64]
) -> tuple[BatchShape, ...]:
    """Give each shape room for the targets it met in the samples, and for any single example it holds.

    Other steps mix the rows in another way, so there is room for a standard deviation more.
    """
    free = [
        BatchShape(n, length, n * length, tokens, costs.overhead(n, length, tokens))
        for n, length, tokens in chosen
    ]
    met = dict.fromkeys(free, 0)
    for lengths, trained in samples:
        for begin, end, shape in cut(lengths, trained, options_of(free)):
            met[shape] = max(met[shape], sum(trained[begin:end]))
    spread = float((every[1] / every[0]).std())
    return tuple(_with_room(shape, most, spread, every) for shape, most in met.items())


def _with_room(shape: BatchShape, met: int, spread: float, every: NDArray[np.int64]) -> BatchShape:
    """Return a shape with its final targets; `spread` is that of the share of trained tokens in a row."""
    lengths, trained = every
    held = trained[lengths <= shape.length]
    single = int(held.max(initial=1))
    likely = met + math.ceil(spread * shape.length * math.sqrt(shape.rows)) if met else 0
    targets = max(single, min(likely, single * shape.rows))
    targets = min(_aligned(targets, _ALIGNMENT), shape.rows * (shape.length - 1))
    return replace(shape, targets=targets)


def _aligned(number: int, alignment: int) -> int:
    return -(-number // alignment) * alignment
