"""The output head of a model: what turns hidden states into logits, told apart from the body below."""

from collections.abc import Callable, Mapping
from typing import Any

from engine.backend import compute_dtype, mx, nn
from engine.model.frozen_linear import FrozenLinear, matrix_key
from engine.model.matmul_timings import MatmulMode

Logits = Callable[[nn.Module, mx.array], mx.array]
"""(model, hidden states (..., width)) -> logits (..., vocabulary)."""
_TRIED = "_tried_heads"
"""Attribute of a model: which heads were tried out on it, and whether each gives its logits."""


def plain_head(model: nn.Module, modes: Mapping[str, MatmulMode]) -> FrozenLinear | None:
    """Return the head of a model where it is a product and no more; a tied one shares the embedding's arrays.

    Args:
        model: whose layers `engine.model.replace_layers.make_fast` may have replaced.
        modes: how to multiply by a head that is the embedding.
    """
    if not _gives_the_logits(model, _product):
        return None
    layer = model.lm_head if hasattr(model, "lm_head") else model.model.embed_tokens
    if isinstance(layer, FrozenLinear):
        return layer
    return FrozenLinear(layer, modes.get(matrix_key(layer), "packed"), compute_dtype())


def own_head(model: nn.Module) -> Logits | None:
    """Return how the model itself turns hidden states into logits, scaled or capped; None without a body."""
    return _from_body if _gives_the_logits(model, _from_body) else None


def _product(model: nn.Module, hidden: mx.array) -> mx.array:
    if hasattr(model, "lm_head"):
        return model.lm_head(hidden)
    # A tied head is the embedding (vocabulary, width) used backwards: hidden Wᵀ.
    return model.model.embed_tokens.as_linear(hidden)


def _from_body(model: nn.Module, hidden: mx.array) -> mx.array:
    """Call the model with a body that has given `hidden` already."""
    # Scales and caps that the model puts on its logits are then its own, and need not be known here.
    # Beside the module's own items, so that their order stays what it was.
    model.__dict__["model"] = _Body(model.model, hidden)
    try:
        return model(mx.zeros(hidden.shape[:-1], mx.int32))  # the tokens are not looked at
    finally:
        del model.__dict__["model"]


class _Body:
    """Stands for a model's body whose output is known; all else of it is the body's."""

    def __init__(self, body: nn.Module, hidden: mx.array) -> None:
        self._body, self._hidden = body, hidden

    def __call__(self, *_inputs: Any, **_named: Any) -> mx.array:
        return self._hidden

    def __getattr__(self, name: str) -> Any:
        return getattr(self._body, name)


def _gives_the_logits(model: nn.Module, head: Logits) -> bool:
    """Whether body and head, one after the other, give the model's own logits; tried out once a model."""
    tried: dict[Logits, bool] = model.__dict__.setdefault(_TRIED, {})
    if head not in tried:
        tried[head] = _are_equal(model, head)
    return tried[head]


def _are_equal(model: nn.Module, head: Logits) -> bool:
    """Compare bit for bit: another head may come close on a few tokens, never equal."""
    tokens = mx.arange(1, 9)[None]
    try:
        apart = head(model, model.model(tokens))
    except (AttributeError, TypeError, ValueError):
        return False
    return bool(mx.array_equal(apart, model(tokens)).item())
