"""Cross-entropy over the tokens that carry loss, and over no others."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from engine.backend import compute_dtype, mx, nn
from engine.calibrations import Way
from engine.dataset.batches import MicroBatch
from engine.memory import LOGIT_CHUNK
from engine.model.frozen import FrozenLinear, matrix_key

LossFunction = Callable[[nn.Module, mx.array, mx.array, mx.array], mx.array]
"""(model, tokens (rows, length), targets (count,), labels (count,)) -> summed loss in nats.

A label of -1 fills up: it carries no loss."""


def make_loss(model: nn.Module, ways: Mapping[str, Way] | None = None) -> LossFunction:
    """Return a loss function for `model` that computes logits only where they are needed.

    Where the architecture is a body with an output head on top, hidden states
    are gathered before the head, and the logits are computed in chunks; whether that gives
    the model's own logits is tried out on a few tokens. Otherwise the full logits are gathered from.

    Args:
        model: whose layers `make_fast` may have replaced.
        ways: how to multiply by a head that is the embedding, see `make_fast`.
    """
    if not _splits(model):
        return _full_loss
    head = _head(model, ways or {})

    def selected_loss(model: nn.Module, tokens: mx.array, targets: mx.array, labels: mx.array) -> mx.array:
        hidden = model.model(tokens[:, :-1])
        return chunked_loss(hidden.reshape(-1, hidden.shape[-1])[targets], labels, head, model.training)

    return selected_loss


def holds_all_logits(loss: LossFunction) -> bool:
    """Whether a function of `make_loss` computes the logits of every position."""
    return loss is _full_loss


def batch_arrays(batch: MicroBatch) -> tuple[mx.array, mx.array, mx.array]:
    """Return a micro-batch as the arrays a `LossFunction` takes."""
    return mx.array(batch.tokens), mx.array(batch.targets), mx.array(batch.labels)


def _full_loss(model: nn.Module, tokens: mx.array, targets: mx.array, labels: mx.array) -> mx.array:
    logits = model(tokens[:, :-1])
    return _cross_entropy(logits.reshape(-1, logits.shape[-1])[targets], labels)


def _cross_entropy(logits: mx.array, labels: mx.array) -> mx.array:
    losses = nn.losses.cross_entropy(logits.astype(mx.float32), mx.maximum(labels, 0), reduction="none")
    return (losses * (labels >= 0)).sum()


def chunked_loss(hidden: mx.array, labels: mx.array, head: FrozenLinear, with_gradient: bool) -> mx.array:
    """Return the summed cross-entropy of `head(hidden)`, without ever holding all logits.

    The gradient of `hidden` is (softmax(logits) - one-hot(labels)) W: it is computed
    with each chunk's logits, before the next chunk's, and kept instead of them.

    Args:
        hidden: (count, width), in the compute dtype.
        labels: (count,), -1 where there is no loss.
        head: the frozen output projection, to (count, vocabulary).
        with_gradient: the result will be differentiated; else the gradient is left out.
    """
    rows = max(1, LOGIT_CHUNK // head.outputs)

    def both(hidden: mx.array) -> tuple[mx.array, mx.array]:
        total = mx.array(0.0)
        gradients: list[mx.array] = []
        for begin in range(0, hidden.shape[0], rows):
            part = hidden[begin : begin + rows]
            if begin:  # one chunk after the other
                (part,) = mx.depends([part], [total, *gradients[-1:]] if with_gradient else [total])
            loss, gradient = _chunk(part, labels[begin : begin + rows], head)
            total = total + loss
            gradients.append(gradient)
        return total, mx.concatenate(gradients) if len(gradients) > 1 else gradients[0]

    if not with_gradient:
        return both(hidden)[0]  # a custom function would compute the other too
    apply: Any = mx.custom_function(both)

    @apply.vjp  # type: ignore[untyped-decorator]
    def apply_vjp(_hidden: mx.array, weights: Sequence[mx.array], outputs: Sequence[mx.array]) -> mx.array:
        return weights[0].astype(outputs[1].dtype) * outputs[1]

    total: mx.array = apply(hidden)[0]
    return total


def _chunk(hidden: mx.array, labels: mx.array, head: FrozenLinear) -> tuple[mx.array, mx.array]:
    """Return the summed loss of some rows and the gradient of their hidden states."""
    logits = head.forward(hidden).astype(mx.float32)
    counts = (labels >= 0)[:, None]
    labels = mx.maximum(labels, 0)[:, None]
    normaliser = mx.logsumexp(logits, axis=-1, keepdims=True)
    losses = (normaliser - mx.take_along_axis(logits, labels, axis=-1)) * counts
    difference = mx.exp(logits - normaliser) - (mx.arange(logits.shape[-1]) == labels)
    return losses.sum(), head.backward((difference * counts).astype(hidden.dtype))


def _head(model: nn.Module, ways: Mapping[str, Way]) -> FrozenLinear:
    """Return the output projection as one of ours; a tied one shares the embedding's arrays."""
    layer = model.lm_head if hasattr(model, "lm_head") else model.model.embed_tokens
    if isinstance(layer, FrozenLinear):
        return layer
    return FrozenLinear(layer, ways.get(matrix_key(layer), "packed"), compute_dtype())


def _logits(model: nn.Module, hidden: mx.array) -> mx.array:
    if hasattr(model, "lm_head"):
        return model.lm_head(hidden)
    return model.model.embed_tokens.as_linear(hidden)


def _splits(model: nn.Module) -> bool:
    """Whether body and head, called one after the other, give the model's own logits bit for bit.

    A head that also scales or caps its logits may come close on a few tokens, never equal.
    """
    tokens = mx.arange(1, 9)[None]
    try:
        apart = _logits(model, model.model(tokens))
    except (AttributeError, TypeError):
        return False
    return bool(mx.array_equal(apart, model(tokens)).item())
