"""Gradient checkpointing: recompute a layer's activations instead of keeping them."""

from pathlib import Path
from typing import Any

from engine.backend import is_cpu, mx, nn
from engine.config import TrainingConfig
from engine.errors import UserError
from engine.hardware.storage import read_memory
from engine.i18n import _
from engine.memory import ModelShape, recomputes


def should_checkpoint(
    folder: Path, config: TrainingConfig, longest: int, memory_ran_out: bool = False
) -> bool:
    """Whether a run recomputes activations: as configured; "auto" where memory is too short without.

    Args:
        folder: of the base model, already loaded.
        config: the run's configuration.
        longest: tokens of the longest example.
        memory_ran_out: it did, whatever was predicted: "auto" means yes.

    Raises:
        UserError: it is "on" together with dropout: the second forward pass would draw other units.
    """
    if config.gradient_checkpointing == "on" and config.lora_dropout > 0:
        raise UserError(
            _("gradient_checkpointing=on does not go with lora_dropout={dropout}").format(
                dropout=config.lora_dropout
            ),
            _("set lora_dropout=0 or gradient_checkpointing=off"),
        )
    if config.gradient_checkpointing != "auto" or config.lora_dropout > 0:
        return config.gradient_checkpointing == "on"
    if memory_ran_out:
        return True
    try:
        shape = ModelShape.read(folder)
    except UserError:  # not a llama-like model: its need is not known
        return False
    return recomputes(shape, config, "cpu" if is_cpu() else "gpu", _room(), longest)


def _room() -> int:
    """Return the bytes that MLX may take: on a Mac the GPU shares the memory, a CUDA card has its own."""
    obtainable = read_memory().obtainable
    if is_cpu():
        return obtainable
    info = mx.device_info()
    if mx.metal.is_available():
        return min(obtainable, int(info["max_recommended_working_set_size"]))
    return int(info.get("total_memory", obtainable))


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
