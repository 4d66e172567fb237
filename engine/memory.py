"""How much memory and disk a configuration takes on a base model: predictions, without MLX."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from engine.config import LoraTarget, TrainingConfig
from engine.errors import UserError
from engine.i18n import _

Device = Literal["cpu", "gpu"]

FLOAT32 = 4
"""Bytes of one number."""
BFLOAT16 = 2

_ACTIVATION = {"cpu": 4.0, "gpu": 3.0}
"""Bytes of one kept number: float32 on a CPU; on a GPU bfloat16, and float32 copies of LoRA's inputs."""
_LOGIT_COPIES = 4
"""Float32 logits, their gradient and what the cross-entropy needs between them."""
_BACKWARD_LAYER = 1.15
"""Working memory of one layer's backward pass, as a multiple of what the layer keeps (measured)."""
_RECOMPUTED_LAYER = 2.0
"""The same where the layer's activations are computed again (measured)."""
_LARGEST = 2**31
"""No size of a model is above this; MLX's arrays are no longer either."""


@dataclass(frozen=True)
class ModelShape:
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
    """Weights that share one 16-bit scale and one 16-bit bias."""

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read a model folder's `config.json`.

        Raises:
            UserError: it cannot be read or lacks a size.
        """
        path = folder / "config.json"
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            return cls._parse(values.get("text_config") or values)  # nested in models that also see
        except OSError as error:
            reason = error.strerror or _("cannot be read")
        except KeyError as error:
            reason = _("{key} is missing").format(key=error)
        except (ValueError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
            reason = str(error)
        raise UserError(
            _("The model's {path} is broken: {reason}").format(path=path, reason=reason),
            _("download the model again or run: mqlora-tui demo"),
        )

    @classmethod
    def _parse(cls, values: dict[str, Any]) -> Self:
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
        )
        sizes = (shape.hidden, shape.layers, shape.kv_heads, shape.intermediate, shape.vocab)
        if min(*sizes, shape.group_size) < 1:
            raise ValueError(_("a size is not positive"))
        if max(*sizes, shape.heads, shape.head_dim, shape.group_size, shape.bits or 0) > _LARGEST:
            raise ValueError(_("a size is too large"))
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

    @property
    def parameters(self) -> int:
        """Weights of the whole base model."""
        layer = sum(inputs * outputs for inputs, outputs in self.projections.values())
        embeddings = self.vocab * self.hidden * (1 if self.tied else 2)
        norms = self.hidden * (2 * self.layers + 1)
        return layer * self.layers + embeddings + norms

    def weight_bytes(self, device: Device) -> int:
        """Bytes of the frozen weights: float32 on a CPU, as stored (packed or 16-bit) on a GPU."""
        if device == "cpu":
            return self.parameters * FLOAT32
        if self.bits is None:
            return self.parameters * BFLOAT16
        return int(self.parameters * (self.bits / 8 + 2 * BFLOAT16 / self.group_size))


def trainable_parameters(shape: ModelShape, config: TrainingConfig) -> int:
    """Return the number of weights in the adapter: rank x (inputs + outputs) for each projection."""
    layer = sum(sum(shape.projections[target]) for target in config.lora_targets)
    return layer * config.lora_rank * _adapted_layers(shape, config)


def predict_peak(
    shape: ModelShape,
    config: TrainingConfig,
    device: Device,
    longest: int | None = None,
    trained: float = 1.0,
) -> int:
    """Return the most memory that MLX holds at once while training, bytes.

    peak = weights + adapter + kept + max(logits, backward)

    - weights: see `ModelShape.weight_bytes`.
    - adapter: 12 bytes a trainable weight: the float32 master and AdamW's two moments.
    - kept: what the forward pass keeps for the backward pass, for each of the
      T = batch_size x length tokens of the fullest micro-batch and each layer:
      5 hidden + 2 query + 2 key + 5 intermediate numbers, and on a CPU, where the
      attention scores are kept, heads x length more. With gradient checkpointing
      that is so for one layer only, the others keep their input, hidden numbers. A number
      takes 4 bytes on a CPU, 3 on a GPU.
    - logits: 4 float32 copies of vocab numbers at each trained position.
    - backward: one layer's working memory and two float32 gradients of the adapter.

    "auto" gradient checkpointing counts as off. On a CPU the prediction was within 1 % of
    `mx.get_peak_memory` for a 135M model and within 8 % for tiny ones whose logits weigh most;
    on an H100 within 20 % of three bfloat16 runs, none of them with gradient checkpointing.

    Args:
        shape: sizes of the base model.
        config: the run's configuration.
        device: where MLX computes.
        longest: tokens of the longest example; None takes `max_seq_length`.
        trained: share of the tokens that carry loss, 0 to 1.
    """
    length = _padded_length(min(config.max_seq_length, longest or config.max_seq_length))
    tokens = config.batch_size * min(config.max_seq_length, length)
    number = tokens * _ACTIVATION[device]
    layer = number * _layer_numbers(shape, device, length)
    if config.gradient_checkpointing == "on":
        kept, backward = number * shape.hidden * shape.layers + layer, _RECOMPUTED_LAYER * layer
    else:
        kept, backward = layer * shape.layers, _BACKWARD_LAYER * layer
    adapter = trainable_parameters(shape, config) * FLOAT32
    logits = _LOGIT_COPIES * FLOAT32 * shape.vocab * tokens * trained
    return int(shape.weight_bytes(device) + 3 * adapter + kept + max(logits, backward + 2 * adapter))


def recomputes(
    shape: ModelShape,
    config: TrainingConfig,
    device: Device,
    room: int,
    longest: int | None = None,
    trained: float = 1.0,
) -> bool:
    """Whether a run uses gradient checkpointing; "auto" does where `room` bytes are too few without."""
    if config.gradient_checkpointing == "auto":
        return predict_peak(shape, config, device, longest, trained) > room
    return config.gradient_checkpointing == "on"


def run_bytes(shape: ModelShape, config: TrainingConfig) -> int:
    """Return the disk space of one run, bytes.

    There are `keep_checkpoints` checkpoints, the best and one being written, and `adapters/`.
    """
    adapter = trainable_parameters(shape, config) * FLOAT32
    return checkpoint_bytes(adapter) * (config.keep_checkpoints + 2) + adapter


def checkpoint_bytes(adapter: int) -> int:
    """Return the disk space of a checkpoint: a float32 adapter of `adapter` bytes, AdamW's two moments."""
    return 3 * adapter


def _adapted_layers(shape: ModelShape, config: TrainingConfig) -> int:
    return shape.layers if config.lora_layers < 0 else min(config.lora_layers, shape.layers)


def _padded_length(longest: int) -> int:
    """Return the length that the longest example is padded to."""
    from engine.dataset.batches import padded_lengths  # imports numpy, which the app's start can do without

    return padded_lengths(longest)[-1]


def _layer_numbers(shape: ModelShape, device: Device, length: int) -> int:
    """Numbers that one layer keeps for each token (see `predict_peak`)."""
    query, key = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    scores = shape.heads * length if device == "cpu" else 0
    return 5 * shape.hidden + 2 * query + 2 * key + 5 * shape.intermediate + scores
