"""What a model loses on each row of the validation set, computed without a gradient."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from engine.backend import mx, nn
from engine.dataset.batches.micro_batch import MicroBatch
from engine.memory.predict import LOGIT_CHUNK
from engine.model.lm_head import Logits, own_head, plain_head
from engine.model.matmul_timings import MatmulMode
from engine.threads import adapt_threads
from engine.training.loss import batch_arrays, cross_entropy, full_losses, selected
from engine.training.progress import NOTHING, Scored

import numpy as np

ScoreFunction = Callable[[nn.Module, mx.array, mx.array, mx.array, mx.array, mx.array], mx.array]
"""(model, tokens, slots, places, targets, labels: see `MicroBatch`) -> loss of each of `targets` in nats,
(targets,) float32; 0 for those that only fill a shape."""


def make_scores(model: nn.Module, modes: Mapping[str, MatmulMode] | None = None) -> ScoreFunction:
    """Return what gives the loss of each target, for validation; see `make_loss` for the arguments."""
    head = plain_head(model, modes or {})
    if head is not None:
        return selected(lambda hidden, labels: _in_pieces(hidden, labels, head.forward, head.outputs))
    logits = own_head(model)
    if logits is not None:
        return selected(lambda hidden, labels: _own_losses(model, hidden, labels, logits))
    return full_losses


def _own_losses(model: nn.Module, hidden: mx.array, labels: mx.array, logits: Logits) -> mx.array:
    vocabulary = logits(model, hidden[None, :1]).shape[-1]
    return _in_pieces(hidden, labels, lambda part: logits(model, part[None])[0], vocabulary)


def _in_pieces(
    hidden: mx.array, labels: mx.array, logits: Callable[[mx.array], mx.array], vocabulary: int
) -> mx.array:
    """Return the loss of each label, (count,), with the logits of one chunk at a time."""
    rows = max(1, LOGIT_CHUNK // vocabulary)
    found: list[mx.array] = []
    for begin in range(0, hidden.shape[0], rows):
        part = hidden[begin : begin + rows]
        if begin:  # one chunk after the other, else MLX may hold the logits of several
            (part,) = mx.depends([part], found[-1:])
        found.append(cross_entropy(logits(part), labels[begin : begin + rows]))
    return mx.concatenate(found) if len(found) > 1 else found[0]


def evaluate(
    model: nn.Module, score: ScoreFunction, batches: Sequence[MicroBatch], scored: Scored = NOTHING
) -> Iterator[Scored]:
    """Score `batches` one by one, so that the caller may stop in between.

    Args:
        model: to be scored.
        score: the loss of each target of a micro-batch.
        batches: of the validation set.
        scored: the first of them that this model was given before.

    Yields:
        What is scored so far.
    """
    model.eval()
    try:
        for batch in batches[scored.batches :]:
            adapt_threads()
            scored = scored.plus(row_losses(model, score, batch), batch.trained_tokens)
            yield scored
    finally:
        model.train()


def row_losses(model: nn.Module, score: ScoreFunction, batch: MicroBatch) -> list[float]:
    """Return the summed loss of each row of a micro-batch, nats, added up in float64."""
    losses = np.asarray(score(model, *batch_arrays(batch)), np.float64)[: batch.trained_tokens]
    rows = np.repeat(np.arange(len(batch.row_targets)), batch.row_targets)
    summed: list[float] = np.bincount(rows, losses, len(batch.row_targets)).tolist()
    return summed


def scored_before(scored: Scored | None, batches: Sequence[MicroBatch]) -> Scored:
    """Return what was scored of `batches` already; nothing where these are divided otherwise now."""
    if scored is None or not 0 < scored.batches < len(batches):
        return NOTHING
    done = batches[: scored.batches]
    tokens, rows = sum(batch.trained_tokens for batch in done), sum(len(batch.row_targets) for batch in done)
    return scored if (tokens, rows) == (scored.tokens, scored.rows) else NOTHING
