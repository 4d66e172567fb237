"""Order of the examples in an epoch, and the micro-batches of one optimizer step.

An epoch shows every example exactly once. Its order is a function of
(seed, epoch) alone, so a resumed run finds its place again by counting.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.dataset.batches.cut import BatchShape, cut, options_of
from engine.dataset.batches.tokenize import Example

import numpy as np
from numpy.typing import NDArray

# Steps whose examples are sorted by length together: enough to cut padding,
# few enough that the order stays close to random.
WINDOW_STEPS = 16
NO_LABEL = -1
"""Label of a padded target: it carries no loss."""


@dataclass(frozen=True)
class MicroBatch:
    """Rows that pass through the model together, without padding between them.

    What depends on one token alone is computed on `tokens`; attention sees padded rows. Where these
    are nearly full they are computed as they are: `BatchShape.is_padded`.
    """

    tokens: NDArray[np.int32]
    """The tokens of all rows, one row after the other and each without its last, then padding (0, at least
    one); or the padded rows one after the other; shape (tokens,)."""
    slots: NDArray[np.int32]
    """Which of `tokens` stands at each position of the padded rows, shape (rows, length); where there is
    none, the last of the padding."""
    places: NDArray[np.int32]
    """The flat position in `slots` of each of `tokens`, shape (tokens,); a free one for padding."""
    targets: NDArray[np.int32]
    """Which of `tokens` are followed by one that carries loss, shape (targets,); padded with 0."""
    labels: NDArray[np.int32]
    """The token to be predicted at each of `targets`, shape (targets,); padded with `NO_LABEL`."""
    shape: BatchShape
    """What it is padded to."""
    real_tokens: int
    """Tokens of all rows, each row's last included."""
    row_targets: tuple[int, ...]
    """How many tokens of each row carry loss, in the order of `targets`."""
    padding: int
    """How many of `tokens` are padding."""
    weights: NDArray[np.float32] | None = None
    """What the loss at each of `targets` counts, shape (targets,); 0 for padding. None: 1, and no padding."""

    @property
    def weight(self) -> float:
        """Sum of the weights of the tokens that carry loss: what their summed loss is divided by."""
        return self.trained_tokens if self.weights is None else float(self.weights.sum(dtype=np.float64))

    @property
    def trained_tokens(self) -> int:
        """Tokens that carry loss: the first so many `targets`."""
        return sum(self.row_targets)


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
        groups = window.reshape(-1, examples_per_step)  # (steps, examples): alike in length within a step
        steps.extend(groups[draw.permutation(len(groups))])
    return [*steps, order[full:]] if full < len(order) else steps


def targets_of(example: Example, prompt_weight: float) -> NDArray[np.bool_]:
    """Return which tokens of an example carry loss, shape (length,).

    Args:
        example: tokens, and which of them the loss counts in full.
        prompt_weight: what it counts the others, see `TrainingConfig.lower_prompt_weight`; of the first
            token, which nothing comes before, there is none.
    """
    return np.arange(len(example.tokens)) > 0 if prompt_weight else example.trained


def micro_batches(
    examples: Sequence[Example], shapes: Sequence[BatchShape], prompt_weight: float = 0.0
) -> list[MicroBatch]:
    """Cut the examples of one step into padded batches, shortest rows first.

    Args:
        examples: the step's examples, or a whole validation set.
        shapes: from `engine.dataset.batches.bucket_plan.plan_shapes`; each batch has one of them.
        prompt_weight: of tokens that the examples do not train in full, see `targets_of`.
    """
    rising = sorted(examples, key=lambda item: len(item.tokens))
    pieces = cut(
        [len(row.tokens) for row in rising],
        [int(np.count_nonzero(targets_of(row, prompt_weight))) for row in rising],
        options_of(shapes),
    )
    return [_pad(rising[piece.begin : piece.end], piece.shape, prompt_weight) for piece in pieces]


def filled(shape: BatchShape, prompt_weight: float = 0.0) -> MicroBatch:
    """Return a micro-batch of one token over and over that fills a shape.

    What it takes to compute depends on the shape only, and on whether there is a weight for prompts.
    """
    rows, inputs, targets = [], shape.tokens - 1, shape.targets
    for _row in range(shape.rows):
        length = min(inputs, shape.length - 1)
        trained = np.arange(length + 1) > length - min(targets, length)
        rows.append(Example(1, np.ones(length + 1, np.int32), trained, ends_turn=True))
        inputs, targets = inputs - length, targets - int(trained.sum())
    made = _pad(rows, shape)
    return replace(made, weights=np.ones(shape.targets, np.float32)) if prompt_weight else made


def _pad(rows: Sequence[Example], shape: BatchShape, prompt_weight: float = 0.0) -> MicroBatch:
    slots, places = _positions([len(row.tokens) - 1 for row in rows], shape)
    tokens = np.zeros(shape.tokens, np.int32)
    targets, labels = np.zeros(shape.targets, np.int32), np.full(shape.targets, NO_LABEL, np.int32)
    weights = np.zeros(shape.targets, np.float32) if prompt_weight else None
    count = used = 0
    counts = []
    for row, begin in zip(rows, slots[:, 0], strict=False):  # where in `tokens` each row begins
        inputs = len(row.tokens) - 1
        tokens[begin : begin + inputs] = row.tokens[:-1]
        positions = np.flatnonzero(targets_of(row, prompt_weight))  # never 0, see Example.trained
        here = slice(count, count + len(positions))
        targets[here] = begin + positions - 1  # a token is predicted at the one before it
        labels[here] = row.tokens[positions]
        if weights is not None:
            weights[here] = np.where(row.trained[positions], 1.0, prompt_weight)
        used, count = used + inputs, count + len(positions)
        counts.append(len(positions))
    return MicroBatch(
        *(tokens, slots, places, targets, labels, shape, used + len(rows)),
        row_targets=tuple(counts),
        padding=shape.tokens - used,
        weights=weights,
    )


def _positions(inputs: Sequence[int], shape: BatchShape) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return `slots` and `places` of a `MicroBatch` whose rows have so many tokens but their last."""
    if shape.is_padded:
        places = np.arange(shape.tokens, dtype=np.int32)
        return places.reshape(shape.rows, shape.length), places
    free = shape.length - 1  # the last position of the first row, see `BatchShape.length`
    places = np.full(shape.tokens, free, np.int32)
    slots = np.full((shape.rows, shape.length), shape.tokens - 1, np.int32)
    begin = 0
    for index, count in enumerate(inputs):
        slots[index, :count] = np.arange(begin, begin + count)
        places[begin : begin + count] = index * shape.length + np.arange(count)
        begin += count
    return slots, places
