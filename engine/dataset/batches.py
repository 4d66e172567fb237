"""Order of the examples in an epoch, and the micro-batches of one optimizer step.

An epoch shows every example exactly once. Its order is a function of
(seed, epoch) alone, so a resumed run finds its place again by counting.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from engine.dataset.tokenizing import Example

import numpy as np
from numpy.typing import NDArray

# Steps whose examples are sorted by length together: enough to cut padding,
# few enough that the order stays close to random.
WINDOW_STEPS = 16
MAX_LENGTHS = 16
_ALIGNMENT = 8


@dataclass(frozen=True)
class MicroBatch:
    """Rows that pass through the model together, right-padded with token 0."""

    tokens: NDArray[np.int32]
    """Shape (rows, length)."""
    targets: NDArray[np.int32]
    """Flat positions in (rows, length - 1) whose next token carries loss, shape (count,)."""
    labels: NDArray[np.int32]
    """The token to be predicted at each of `targets`, shape (count,)."""
    real_tokens: int
    """Tokens that are not padding."""


def epoch_steps(
    lengths: Sequence[int], examples_per_step: int, seed: int, epoch: int
) -> list[NDArray[np.int64]]:
    """Return the example indices of each optimizer step of one epoch.

    A random permutation is cut into windows of `WINDOW_STEPS` steps; within a
    window examples are sorted by length and cut into steps, whose order is
    drawn again. The smaller remainder is the epoch's last step.
    """
    draw = np.random.default_rng([seed, epoch])
    order = draw.permutation(len(lengths))
    sizes = np.asarray(lengths)
    full = len(order) // examples_per_step * examples_per_step
    steps: list[NDArray[np.int64]] = []
    for begin in range(0, full, WINDOW_STEPS * examples_per_step):
        window = order[begin : min(begin + WINDOW_STEPS * examples_per_step, full)]
        window = window[np.argsort(sizes[window], kind="stable")]
        groups = window.reshape(-1, examples_per_step)
        steps.extend(groups[draw.permutation(len(groups))])
    return [*steps, order[full:]] if full < len(order) else steps


def padded_lengths(longest: int) -> tuple[int, ...]:
    """Return at most 16 lengths that rows are padded to, the last one holding `longest` tokens."""
    stride = max(_ALIGNMENT, math.ceil(longest / MAX_LENGTHS / _ALIGNMENT) * _ALIGNMENT)
    return tuple(range(stride, math.ceil(longest / stride) * stride + 1, stride))


def micro_batches(
    examples: Sequence[Example], lengths: Sequence[int], max_tokens: int, max_rows: int
) -> list[MicroBatch]:
    """Split the examples of one step into padded batches, shortest rows first.

    Args:
        examples: the step's examples.
        lengths: from `padded_lengths`.
        max_tokens: padded tokens a micro-batch may have; only a longer row, alone in its batch, exceeds it.
        max_rows: rows a micro-batch may have.
    """
    batches: list[list[Example]] = []
    for example in sorted(examples, key=lambda item: len(item.tokens)):
        padded = padded_length(len(example.tokens), lengths)
        if not batches or len(batches[-1]) == max_rows or (len(batches[-1]) + 1) * padded > max_tokens:
            batches.append([])
        batches[-1].append(example)
    return [_pad(rows, _length(len(rows[-1].tokens), lengths, max_tokens)) for rows in batches]


def padded_length(tokens: int, lengths: Sequence[int]) -> int:
    """Return the smallest of `lengths` that holds `tokens`."""
    return next(length for length in lengths if length >= tokens)


def _length(tokens: int, lengths: Sequence[int], max_tokens: int) -> int:
    """Return the length of a micro-batch whose longest row has `tokens`: not beyond what it may have."""
    padded = padded_length(tokens, lengths)
    return max_tokens if tokens <= max_tokens < padded else padded


def _pad(rows: list[Example], length: int) -> MicroBatch:
    tokens = np.zeros((len(rows), length), np.int32)
    targets, labels = [], []
    for index, row in enumerate(rows):
        tokens[index, : len(row.tokens)] = row.tokens
        positions = np.flatnonzero(row.trained)  # never 0, see Example.trained
        targets.append(index * (length - 1) + positions - 1)
        labels.append(row.tokens[positions])
    return MicroBatch(
        tokens,
        np.concatenate(targets).astype(np.int32),
        np.concatenate(labels).astype(np.int32),
        sum(len(row.tokens) for row in rows),
    )
