"""The sizes of a base model, as its `config.json` tells them, without MLX."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from engine.errors import UserError
from engine.lora_targets import FUSED, LoraTarget
from engine.model_folder.settings import read_settings

Device = Literal["cpu", "gpu"]

FLOAT32 = 4
"""Bytes of one number."""
BFLOAT16 = 2

_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts")
_LARGEST = 2**31
"""No size of a model is above this; MLX's arrays are no longer either."""
MOST_LAYERS = 10_000
"""Some questions are answered for each layer; the deepest models in use have 126."""


@dataclass(frozen=True)
class ModelDimensions:
    """The sizes of a decoder of Llama's kind, as its `config.json` tells them."""

    hidden: int
    """Width of the residual stream."""
    layers: int
    heads: int
    kv_heads: int
    """Heads of keys and values; fewer than `heads` with grouped-query attention."""
    head_dim: int
    intermediate: int
    """Width inside the feed-forward block."""
    vocab: int
    tied: bool
    """Whether the output projection shares the embedding's weights."""
    bits: int | None
    """Bits of a quantised weight; None if the weights are 16-bit."""
    group_size: int = 64
    """Weights that share one scale and one bias."""
    mode: str = "affine"
    """Of the quantisation; all others have a scale of 8 bits and no bias."""

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Read a model folder's `config.json`.

        Returns:
            The sizes; None for a model of another kind, whose memory cannot be predicted from them,
            such as a mixture of experts.
        """
        try:
            return cls.of(read_settings(folder / "config.json"))
        except UserError:
            return None

    @classmethod
    def of(cls, config: dict[str, Any]) -> Self | None:
        """Return the sizes that a model's `config.json` tells, see `read`."""
        try:
            return cls._parse(config.get("text_config") or config)  # nested in models that also see
        except (KeyError, ValueError, TypeError, AttributeError, ArithmeticError):
            return None

    @classmethod
    def _parse(cls, values: dict[str, Any]) -> Self:
        if any(values.get(name) for name in _EXPERTS):
            raise ValueError("a mixture of experts")
        heads = int(values["num_attention_heads"])
        hidden = int(values["hidden_size"])
        quantization = values.get("quantization") or {}
        shape = cls(
            hidden=hidden,
            layers=int(values["num_hidden_layers"]),
            heads=heads,
            kv_heads=int(values.get("num_key_value_heads") or heads),
            head_dim=int(values.get("head_dim") or hidden // heads),
            intermediate=int(values["intermediate_size"]),
            vocab=int(values["vocab_size"]),
            tied=bool(values.get("tie_word_embeddings", True)),  # mlx-lm's default
            bits=int(quantization["bits"]) if quantization else None,
            group_size=int(quantization.get("group_size", 64)),
            mode=str(quantization.get("mode", "affine")),
        )
        sizes = [shape.hidden, shape.layers, shape.heads, shape.kv_heads, shape.head_dim]
        sizes += [shape.intermediate, shape.vocab, shape.group_size, shape.bits or 1]
        if min(sizes) < 1:
            raise ValueError("a size is not positive")
        if max(sizes) > _LARGEST or shape.layers > MOST_LAYERS:
            raise ValueError("a size is too large")
        return shape

    @property
    def projections(self) -> dict[LoraTarget, tuple[int, int]]:
        """Inputs and outputs of each projection of one layer."""
        query, key = self.heads * self.head_dim, self.kv_heads * self.head_dim
        return {
            "q_proj": (self.hidden, query),
            "k_proj": (self.hidden, key),
            "v_proj": (self.hidden, key),
            "o_proj": (query, self.hidden),
            "gate_proj": (self.hidden, self.intermediate),
            "up_proj": (self.hidden, self.intermediate),
            "down_proj": (self.intermediate, self.hidden),
        }

    def adapted(self, targets: Collection[LoraTarget]) -> Iterator[tuple[int, int]]:
        """Yield inputs and outputs of each projection of one layer that gets an adapter.

        Args:
            targets: names of projections. A layer has a fused one or its parts: where both are named, it
                counts for the fused one.
        """
        sizes = self.projections
        fused = {name: parts for name, parts in FUSED.items() if name in targets}
        for parts in fused.values():
            yield self.hidden, sum(sizes[part][1] for part in parts)
        inside = {part for parts in fused.values() for part in parts}
        yield from (sizes[name] for name in targets if name not in FUSED and name not in inside)

    @property
    def parameters(self) -> int:
        """Weights of the whole base model."""
        layer = sum(inputs * outputs for inputs, outputs in self.projections.values())
        embeddings = self.vocab * self.hidden * (1 if self.tied else 2)
        norms = self.hidden * (2 * self.layers + 1)
        return layer * self.layers + embeddings + norms

    def weight_bytes(self, device: Device, resident: bool) -> int:
        """Return the bytes of the frozen weights.

        Args:
            device: a CPU computes in float32, and so do the scales of packed weights there.
            resident: quantised matrices are written out; an embedding that is not the output head
                too stays packed, since only a few of its rows are looked up.
        """
        number = FLOAT32 if device == "cpu" else BFLOAT16
        if self.bits is None:
            return self.parameters * number
        packed = self.bits / 8 + (2 * number if self.mode == "affine" else 1) / self.group_size
        embedding = 0 if self.tied else self.vocab * self.hidden
        if resident:
            return int((self.parameters - embedding) * number + embedding * packed)
        return int(self.parameters * packed)
