"""Gradient checkpointing: recompute a layer's activations instead of keeping them (Chen et al., 2016)."""

from typing import Any

from engine.backend import mx, nn


def checkpoint_layers(model: nn.Module, adapted: int, count: int) -> None:
    """Make `count` of the last `adapted` layers of `model` recompute their activations in the backward pass.

    The first of them, because the backward pass comes to them last, when the others have
    given their memory back; what lies below the adapted layers keeps nothing anyway. Each
    layer gets a class of its own, so other models of the same architecture in this process
    are not touched. The trainable parameters are passed through `mx.checkpoint` as
    arguments, since it differentiates only those.
    """
    first = len(model.layers) - adapted
    for layer in model.layers[first : first + count]:
        layer.__class__ = _checkpointed(type(layer))


def _checkpointed(base: type[nn.Module]) -> type[nn.Module]:
    def call(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        def forward(parameters: dict[str, Any], *inner: Any, **named: Any) -> Any:
            kept = self.trainable_parameters()
            self.update(parameters)
            try:
                return base.__call__(self, *inner, **named)
            finally:
                self.update(kept)  # else the arrays of a trace would stay behind in the layer

        return mx.checkpoint(forward)(self.trainable_parameters(), *args, **kwargs)

    return type(f"Checkpointed{base.__name__}", (base,), {"__call__": call})
