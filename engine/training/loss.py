"""Cross-entropy over the tokens that carry loss, and over no others."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from engine.backend import exp, is_cpu, mx, nn
from engine.dataset.batches.micro_batch import MicroBatch
from engine.memory.predict import LOGIT_CHUNK
from engine.model.frozen_linear import FrozenLinear
from engine.model.lm_head import Logits, own_head, plain_head
from engine.model.matmul_timings import MatmulMode
from engine.model.padding_free import run_rows

LossFunction = Callable[..., mx.array]
"""(model, tokens, slots, places, targets, labels: see `MicroBatch`) -> summed loss in nats; of a batch with
`weights`, which come last, the sum of the losses times these."""

_PART = 128
"""Numbers that are summed at a time; it divides nearly every vocabulary, and then nothing is copied."""

ChunkFunction = Callable[[mx.array, mx.array, mx.array | None], tuple[mx.array, mx.array]]
"""(hidden states (count, width), labels (count,), weights (count,) or None) -> summed loss, its gradient by
the hidden states."""


def make_loss(model: nn.Module, modes: Mapping[str, MatmulMode] | None = None) -> LossFunction:
    """Return a loss function for `model` that computes logits only where they are needed.

    Where the architecture is a body with an output head on top, hidden states
    are gathered before the head, and the logits are computed in chunks. Otherwise the full
    logits are gathered from.

    Args:
        model: whose layers `make_fast` may have replaced.
        modes: how to multiply by a head that is the embedding, see `make_fast`.
    """
    head = plain_head(model, modes or {})
    if head is not None:
        return selected(lambda *rows: _head_loss(model, head, *rows))
    logits = own_head(model)
    if logits is not None:
        return selected(lambda *rows: _own_loss(model, logits, *rows))
    return full_loss


def selected(of_rows: Callable[..., mx.array]) -> LossFunction:
    """Return what gathers the hidden states of the targets, (targets, width), and gives them to `of_rows`."""

    def selected_loss(model: nn.Module, *batch: mx.array) -> mx.array:
        tokens, slots, places, targets, labels, *weights = batch
        hidden = run_rows(model, model.model, tokens, slots, places)  # (tokens, width)
        # The mask is this gather: what carries no loss never reaches the head.
        return of_rows(hidden[targets], labels, *weights)  # (trained, width), (trained,), (trained,)

    return selected_loss


def holds_all_logits(loss: LossFunction) -> bool:
    """Whether a function of `make_loss` computes the logits of every position."""
    return loss is full_loss


def batch_arrays(batch: MicroBatch) -> tuple[mx.array, ...]:
    """Return a micro-batch as the arrays a `LossFunction` takes."""
    arrays = (batch.tokens, batch.slots, batch.places, batch.targets, batch.labels)
    return tuple(map(mx.array, arrays if batch.weights is None else (*arrays, batch.weights)))


def full_loss(model: nn.Module, *batch: mx.array) -> mx.array:
    """Return the summed loss from the logits of every position; any architecture gives those."""
    return full_losses(model, *batch).sum()


def full_losses(model: nn.Module, *batch: mx.array) -> mx.array:
    """Return the loss of each target, (targets,), from the logits of every position."""
    tokens, slots, places, targets, labels, *weights = batch
    # (tokens, vocabulary) -> (trained, vocabulary): only positions whose next token carries loss.
    logits = run_rows(model, model, tokens, slots, places)[targets]
    return cross_entropy(logits, labels, *weights)


def _counts(labels: mx.array, weights: mx.array | None) -> mx.array:
    """Return what the loss of each label is multiplied by, (count, 1)."""
    # Labels of -1 fill a micro-batch up to its shape: they count for nothing, and their weight is 0.
    return (labels >= 0 if weights is None else weights)[:, None]


def cross_entropy(logits: mx.array, labels: mx.array, weights: mx.array | None = None) -> mx.array:
    """Return the weighted loss of each label, (count, vocabulary), (count,), (count,) -> (count,)."""
    logits, counts = logits.astype(mx.float32), _counts(labels, weights)  # (count, vocabulary), (count, 1)
    chosen = mx.take_along_axis(logits, mx.maximum(labels, 0)[:, None], axis=-1)
    return ((log_sum_exp(logits) - chosen) * counts)[:, 0]


def log_sum_exp(logits: mx.array) -> mx.array:
    """Return log(sum(exp(logits))) of each row, float32 (count, vocabulary) -> (count, 1).

    On a CPU MLX's own takes 16 ns a number, more than twice as long as this.
    """
    if not is_cpu():
        return mx.logsumexp(logits, axis=-1, keepdims=True)
    largest = mx.stop_gradient(logits.max(axis=-1, keepdims=True))  # whatever is taken off is added again
    return largest + mx.log(_sum(exp(logits - largest)))


def _softmax(logits: mx.array) -> tuple[mx.array, mx.array]:
    """Return log(sum(exp(logits))) of each row and the softmax, float32 (count, 1), (count, vocabulary)."""
    if not is_cpu():
        normaliser = mx.logsumexp(logits, axis=-1, keepdims=True)
        return normaliser, mx.exp(logits - normaliser)
    largest = logits.max(axis=-1, keepdims=True)
    powers = exp(logits - largest)
    total = _sum(powers)
    return largest + mx.log(total), powers / total


def _sum(numbers: mx.array) -> mx.array:
    """Return the sum of each row, float32 (count, width) -> (count, 1).

    On CPUs MLX 0.32.4 adds the numbers of a row one after the other: the sum of 262,144 powers comes out
    low by up to 4e-4. The sums of parts, summed, are right to the last digit and take no longer.
    """
    count, width = numbers.shape
    whole = width // _PART * _PART
    # (count, parts, 128) -> (count, parts): float32 sums of 128 numbers lose next to nothing.
    parts = numbers[:, :whole].reshape(count, whole // _PART, _PART).sum(axis=-1)
    rest = numbers[:, whole:].sum(axis=-1, keepdims=True)
    return parts.sum(axis=-1, keepdims=True) + rest


def chunked_loss(
    hidden: mx.array,
    labels: mx.array,
    head: FrozenLinear,
    with_gradient: bool,
    weights: mx.array | None = None,
) -> mx.array:
    """Return the summed cross-entropy of `head(hidden)`, without ever holding all logits.

    The gradient of `hidden` is (softmax(logits) - one-hot(labels)) W: it is computed
    with each chunk's logits, before the next chunk's, and kept instead of them.

    Args:
        hidden: (count, width), in the compute dtype.
        labels: (count,), -1 where there is no loss.
        head: the frozen output projection, to (count, vocabulary).
        with_gradient: the result will be differentiated; else the gradient is left out.
        weights: (count,), what each loss is multiplied by; None: by 1.
    """
    return _in_chunks(hidden, labels, weights, partial(_chunk, head=head), head.outputs, with_gradient)


def _head_loss(
    model: nn.Module,
    head: FrozenLinear,
    hidden: mx.array,
    labels: mx.array,
    weights: mx.array | None = None,
) -> mx.array:
    return chunked_loss(hidden, labels, head, model.training, weights)


def _own_loss(
    model: nn.Module, logits: Logits, hidden: mx.array, labels: mx.array, weights: mx.array | None = None
) -> mx.array:
    """Return the same for a head that does more than a product; each chunk's gradient is MLX's."""

    def chunk(part: mx.array, labels: mx.array, weights: mx.array | None) -> tuple[mx.array, mx.array]:
        def loss(hidden: mx.array) -> mx.array:
            # A batch of one row to the model: (1, rows, width) -> (1, rows, vocabulary).
            return cross_entropy(logits(model, hidden[None])[0], labels, weights).sum()

        found = mx.value_and_grad(loss)(part)
        return found[0], found[1]

    vocabulary = logits(model, hidden[None, :1]).shape[-1]
    return _in_chunks(hidden, labels, weights, chunk, vocabulary, model.training)


def _in_chunks(
    hidden: mx.array,
    labels: mx.array,
    weights: mx.array | None,
    chunk: ChunkFunction,
    vocabulary: int,
    with_gradient: bool,
) -> mx.array:
    rows = max(1, LOGIT_CHUNK // vocabulary)  # of a chunk: the larger the vocabulary, the fewer

    def both(hidden: mx.array) -> tuple[mx.array, mx.array]:
        total = mx.array(0.0)
        gradients: list[mx.array] = []
        for begin in range(0, hidden.shape[0], rows):
            part = hidden[begin : begin + rows]  # (rows, width): rows x vocabulary logits are held at a time
            if begin:  # one chunk after the other, else MLX may hold the logits of several
                (part,) = mx.depends([part], [total, *gradients[-1:]] if with_gradient else [total])
            counted = None if weights is None else weights[begin : begin + rows]
            loss, gradient = chunk(part, labels[begin : begin + rows], counted)
            total = total + loss
            gradients.append(gradient)
        return total, mx.concatenate(gradients) if len(gradients) > 1 else gradients[0]

    if not with_gradient:
        return both(hidden)[0]  # a custom function would compute the other too
    apply: Any = mx.custom_function(both)

    @apply.vjp  # type: ignore[untyped-decorator]
    def apply_vjp(_hidden: mx.array, factors: Sequence[mx.array], outputs: Sequence[mx.array]) -> mx.array:
        # The chunks have given it already, (count, width); it is only scaled by that of the sum, ().
        return factors[0].astype(outputs[1].dtype) * outputs[1]

    total: mx.array = apply(hidden)[0]
    return total


def _chunk(
    hidden: mx.array, labels: mx.array, weights: mx.array | None, head: FrozenLinear
) -> tuple[mx.array, mx.array]:
    """Return the summed loss of some rows and the gradient of their hidden states."""
    logits = head.forward(hidden).astype(mx.float32)  # (rows, vocabulary); bfloat16 sums are too coarse
    counts = _counts(labels, weights)  # (rows, 1)
    labels = mx.maximum(labels, 0)[:, None]
    normaliser, softmax = _softmax(logits)
    losses = (normaliser - mx.take_along_axis(logits, labels, axis=-1)) * counts
    # d loss / d logits = softmax - one-hot, (rows, vocabulary); the head maps it to (rows, width).
    difference = softmax - (mx.arange(logits.shape[-1]) == labels)
    return losses.sum(), head.backward((difference * counts).astype(hidden.dtype))
