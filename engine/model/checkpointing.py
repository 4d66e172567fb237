"""Gradient checkpointing: recompute a layer's activations instead of keeping them."""

from typing import Any

from engine.backend import mx, nn


def checkpoint_layers(model: nn.Module) -> None:
    """Make every transformer layer of `model` recompute its activations in the backward pass.

    Each layer gets a class of its own, so other models of the same
    architecture in this process are not touched. The trainable parameters are
    passed through `mx.checkpoint` as arguments, since it differentiates only those.
    """
    for layer in model.layers:
        layer.__class__ = _checkpointed(type(layer))


def _checkpointed(base: type[nn.Module]) -> type[nn.Module]:
    def call(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        def forward(parameters: dict[str, Any], *inner: Any, **named: Any) -> Any:
            self.update(parameters)
            return base.__call__(self, *inner, **named)

        return mx.checkpoint(forward)(self.trainable_parameters(), *args, **kwargs)

    return type(f"Checkpointed{base.__name__}", (base,), {"__call__": call})
