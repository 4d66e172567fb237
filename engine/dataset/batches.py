"""Order of the examples in an epoch, and the micro-batches of one optimizer step.

An epoch shows every example exactly once. Its order is a function of
(seed, epoch) alone, so a resumed run finds its place again by counting.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.dataset.cutting import Shape, cut, options_of
from engine.dataset.tokenizing import Example

import numpy as np
from numpy.typing import NDArray

# Steps whose examples are sorted by length together: enough to cut padding,
# few enough that the order stays close to random.
WINDOW_STEPS = 16
NO_LABEL = -1
"""Label of a padded target: it carries no loss."""


@dataclass(frozen=True)
class MicroBatch:
    """Rows that pass through the model together, right-padded with token 0."""

    tokens: NDArray[np.int32]
    """Shape (rows, length); the last rows may be blank."""
    targets: NDArray[np.int32]
    """Flat positions in (rows, length - 1) whose next token carries loss, shape (count,); padded with 0."""
    labels: NDArray[np.int32]
    """The token to be predicted at each of `targets`, shape (count,); padded with `NO_LABEL`."""
    real_tokens: int
    """Tokens that are not padding."""
    trained_tokens: int
    """Tokens that carry loss: the first so many `targets`."""

    @property
    def shape(self) -> Shape:
        """What it is padded to."""
        rows, length = self.tokens.shape
        return Shape(rows, length, len(self.targets))


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


def micro_batches(examples: Sequence[Example], shapes: Sequence[Shape]) -> list[MicroBatch]:
    """Cut the examples of one step into padded batches, shortest rows first.

    Args:
        examples: the step's examples, or a whole validation set.
        shapes: from `engine.dataset.shapes.plan_shapes`; each batch has one of them.
    """
    rising = sorted(examples, key=lambda item: len(item.tokens))
    pieces = cut(
        [len(row.tokens) for row in rising],
        [int(np.count_nonzero(row.trained)) for row in rising],
        *options_of(shapes),
    )
    return [_pad(rising[piece.begin : piece.end], piece.shape) for piece in pieces]


def _pad(rows: Sequence[Example], shape: Shape) -> MicroBatch:
    tokens = np.zeros((shape.rows, shape.length), np.int32)
    targets, labels = np.zeros(shape.targets, np.int32), np.full(shape.targets, NO_LABEL, np.int32)
    count = 0
    for index, row in enumerate(rows):
        tokens[index, : len(row.tokens)] = row.tokens
        positions = np.flatnonzero(row.trained)  # never 0, see Example.trained
        here = slice(count, count + len(positions))
        targets[here] = index * (shape.length - 1) + positions - 1
        labels[here] = row.tokens[positions]
        count += len(positions)
    return MicroBatch(tokens, targets, labels, sum(len(row.tokens) for row in rows), count)
