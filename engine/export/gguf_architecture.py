"""A model's configuration in the terms of GGUF, for architectures that llama.cpp computes as MLX does."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine.errors import UserError
from engine.i18n import _
from engine.sanitize import one_line

import numpy as np
from gguf import GGUFWriter, RopeScalingType
from numpy.typing import NDArray

NAMES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}
"""llama.cpp's name of each `model_type` that can be written."""
_INTERLEAVED = ("llama",)
"""Architectures whose rotary positions turn neighbouring rows in llama.cpp, rows half a head apart in MLX."""


@dataclass(frozen=True)
class Architecture:
    """A model's sizes in llama.cpp's terms."""

    name: str
    """llama.cpp's."""
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    hidden: int
    intermediate: int
    context: int
    norm_eps: float
    rope_base: float
    rope: "RopeScaling"

    def permuted(self, rows: NDArray[Any], module: str) -> NDArray[Any]:
        """Return the rows of a projection of queries or keys in llama.cpp's order; others as they are.

        Rotary positions turn pairs of rows of a head. MLX keeps the two of a pair half a head apart,
        llama.cpp side by side (`LlamaModel.permute` of its converter). Packed rows move as a whole.

        Args:
            rows: (outputs, ...).
            module: path of the projection, such as "model.layers.0.self_attn.q_proj".
        """
        if self.name not in _INTERLEAVED or not module.endswith((".q_proj", ".k_proj")):
            return rows
        heads = self.heads if module.endswith(".q_proj") else self.kv_heads
        halves = rows.reshape(heads, 2, -1, *rows.shape[1:])
        return halves.swapaxes(1, 2).reshape(rows.shape)

    def describe(self, writer: GGUFWriter) -> None:
        """Write the fields of the header."""
        writer.add_context_length(self.context)
        writer.add_embedding_length(self.hidden)
        writer.add_block_count(self.layers)
        writer.add_feed_forward_length(self.intermediate)
        writer.add_head_count(self.heads)
        writer.add_head_count_kv(self.kv_heads)
        writer.add_key_length(self.head_dim)
        writer.add_value_length(self.head_dim)
        writer.add_rope_dimension_count(self.head_dim)
        writer.add_rope_freq_base(self.rope_base)
        writer.add_layer_norm_rms_eps(self.norm_eps)
        self.rope.describe(writer)


@dataclass(frozen=True)
class RopeScaling:
    """How positions beyond the trained context are scaled."""

    describe: Callable[[GGUFWriter], None] = lambda writer: None
    """Writes the fields of the header."""
    factors: NDArray[np.float32] | None = None
    """Divisor of each frequency (head_dim / 2,), a tensor of llama.cpp's; None where there are none."""


def architecture_of(config: dict[str, Any]) -> Architecture:
    """Return a model's sizes from its `config.json`.

    Raises:
        UserError: llama.cpp computes such a model otherwise, or we cannot say it in its terms.
    """
    kind = config.get("model_type")
    if kind not in NAMES:
        raise UserError(
            _("A model of the architecture {name} cannot be written as GGUF; those of {known} can").format(
                name=one_line(repr(kind), 40), known=", ".join(NAMES)
            ),
            _("export it with --to mlx or --to peft"),
        )
    if config.get("rope_traditional"):
        raise _unknown("rope_traditional")
    heads, hidden = int(config["num_attention_heads"]), int(config["hidden_size"])
    head_dim = int(config.get("head_dim") or hidden // heads)
    context = int(config.get("max_position_embeddings") or 4096)
    base, scaling = _rope(config)
    return Architecture(
        name=NAMES[kind],
        layers=int(config["num_hidden_layers"]),
        heads=heads,
        kv_heads=int(config.get("num_key_value_heads") or heads),
        head_dim=head_dim,
        hidden=hidden,
        intermediate=int(config["intermediate_size"]),
        context=context,
        norm_eps=float(config["rms_norm_eps"]),
        rope_base=base,
        rope=_scaling(scaling, base, head_dim, context),
    )


def _rope(config: dict[str, Any]) -> tuple[float, dict[str, Any]]:
    """Return base and scaling of the rotary positions; newer files keep both in `rope_parameters`."""
    parameters = config.get("rope_parameters") or {}
    scaling = config.get("rope_scaling") or parameters
    return float(config.get("rope_theta") or parameters.get("rope_theta") or 10000.0), dict(scaling)


def _scaling(values: dict[str, Any], base: float, head_dim: int, context: int) -> RopeScaling:
    kind = values.get("rope_type") or values.get("type") or "default"
    if kind == "default":
        return RopeScaling()
    if kind == "linear":
        return RopeScaling(lambda writer: _linear(writer, float(values["factor"])))
    if kind == "llama3":
        return RopeScaling(factors=_llama3_factors(values, base, head_dim))
    if kind == "longrope" and values.get("original_max_position_embeddings") == context:
        factors = np.array(values.get("short_factor"), np.float32)
        if factors.shape == (head_dim // 2,) and values.get("long_factor") == values.get("short_factor"):
            return RopeScaling(factors=factors)
    raise _unknown(f"rope_scaling {one_line(str(kind), 40)}")


def _unknown(what: str) -> UserError:
    return UserError(
        _("A model with {what} in its config.json cannot be written as GGUF").format(what=what),
        _("export it with --to mlx or --to peft"),
    )


def _linear(writer: GGUFWriter, factor: float) -> None:
    writer.add_rope_scaling_type(RopeScalingType.LINEAR)
    writer.add_rope_scaling_factor(factor)


def _llama3_factors(values: dict[str, Any], base: float, head_dim: int) -> NDArray[np.float32]:
    """Return the divisor of each frequency, shape (head_dim / 2,), as Llama 3.1 defines it.

    Wave lengths below original / high_freq_factor stay, those above original / low_freq_factor are
    `factor` times as long, and between the two it goes over smoothly (`_compute_llama3_parameters` of
    transformers).
    """
    factor, low, high = (float(values[name]) for name in ("factor", "low_freq_factor", "high_freq_factor"))
    original = float(values["original_max_position_embeddings"])
    lengths = 2 * np.pi * base ** (np.arange(0, head_dim, 2) / head_dim)
    smooth = np.clip((original / lengths - low) / (high - low), 0, 1)
    return (1 / ((1 - smooth) / factor + smooth)).astype(np.float32)
