"""Cross-entropy over the tokens that carry loss, and over no others."""

from collections.abc import Callable

from engine.backend import mx, nn
from engine.dataset.batches import MicroBatch

LossFunction = Callable[[nn.Module, mx.array, mx.array, mx.array], mx.array]
"""(model, tokens (rows, length), targets (count,), labels (count,)) -> summed loss in nats."""


def make_loss(model: nn.Module) -> LossFunction:
    """Return a loss function for `model` that computes logits only where they are needed.

    Where the architecture is a body with an output head on top, hidden states
    are gathered before the head; whether that gives the model's own logits is
    tried out on a few tokens. Otherwise the full logits are gathered from.
    """
    return _selected_loss if _splits(model) else _full_loss


def batch_arrays(batch: MicroBatch) -> tuple[mx.array, mx.array, mx.array]:
    """Return a micro-batch as the arrays a `LossFunction` takes."""
    return mx.array(batch.tokens), mx.array(batch.targets), mx.array(batch.labels)


def _selected_loss(model: nn.Module, tokens: mx.array, targets: mx.array, labels: mx.array) -> mx.array:
    hidden = model.model(tokens[:, :-1])
    return _cross_entropy(_head(model, hidden.reshape(-1, hidden.shape[-1])[targets]), labels)


def _full_loss(model: nn.Module, tokens: mx.array, targets: mx.array, labels: mx.array) -> mx.array:
    logits = model(tokens[:, :-1])
    return _cross_entropy(logits.reshape(-1, logits.shape[-1])[targets], labels)


def _cross_entropy(logits: mx.array, labels: mx.array) -> mx.array:
    return nn.losses.cross_entropy(logits.astype(mx.float32), labels, reduction="sum")


def _head(model: nn.Module, hidden: mx.array) -> mx.array:
    if hasattr(model, "lm_head"):
        return model.lm_head(hidden)
    return model.model.embed_tokens.as_linear(hidden)


def _splits(model: nn.Module) -> bool:
    """Whether body and head, called one after the other, give the model's own logits bit for bit.

    A head that also scales or caps its logits may come close on a few tokens, never equal.
    """
    tokens = mx.arange(1, 9)[None]
    try:
        apart = _head(model, model.model(tokens))
    except (AttributeError, TypeError):
        return False
    return bool(mx.array_equal(apart, model(tokens)).item())
