"""How much memory and disk a configuration takes on a base model: predictions, without MLX."""

from dataclasses import dataclass
from functools import partial

from engine.config import TrainingConfig
from engine.model_folder.dimensions import BFLOAT16, FLOAT32, Device, ModelDimensions
from engine.optimizer_facts import OptimizerName, state_numbers, vector_state_numbers

CPU_MAX_ROWS = 4
"""Rows of a micro-batch on a CPU. Element-wise operations run on one core there, so larger
micro-batches cost more per token."""

_ACTIVATION = {"cpu": FLOAT32, "gpu": BFLOAT16}
"""Bytes of one kept number."""
_LOGIT_COPIES = 4
"""Float32 logits, their gradient and what the cross-entropy needs between them."""
_BACKWARD_LAYER = 1.15
"""Working memory of one layer's backward pass, as a multiple of what the layer keeps (measured)."""
_RECOMPUTED_LAYER = 2.0
"""The same where the layer's activations are computed again (measured)."""
_UPDATE: dict[OptimizerName, int] = {"adamw": 11, "adafactor": 4, "lion": 8, "muon": 5}
"""Copies of the adapter that an update takes on a CPU besides it and what the optimizer keeps: measured."""
_FUSED_UPDATE = 5
"""The same on a GPU, where operations are fused, measured of AdamW: the gradient in parts and joined and the
three new vectors. The others keep fewer."""
LOGIT_CHUNK = 1 << 27
"""Logits that exist at a time: 512 MiB in float32."""
ALL_LOGITS = _LOGIT_COPIES * FLOAT32
"""Bytes of each logit of a model whose head cannot be told apart: all of them exist at once."""


@dataclass(frozen=True)
class MemoryBudget:
    """The memory that MLX computes in, bytes."""

    device: Device
    free: int
    """What a run can have now."""
    total: int
    """All there is, were nothing else running."""

    def divided(self, processes: int) -> "MemoryBudget":
        """Return what each of some processes that share it can have."""
        return MemoryBudget(self.device, self.free // processes, self.total // processes)


def trainable_parameters(shape: ModelDimensions, config: TrainingConfig) -> int:
    """Return the number of weights in the adapter: rank x (inputs + outputs) for each projection.

    DoRA has a length of each output besides.
    """
    layer = sum(map(sum, shape.adapted(config.lora_targets))) * config.lora_rank
    return (layer + _lengths(shape, config)) * adapted_layers(shape.layers, config)


def _lengths(shape: ModelDimensions, config: TrainingConfig) -> int:
    """Return DoRA's lengths in one layer; none of LoRA."""
    if config.fine_tune_type != "dora":
        return 0
    return sum(outputs for _inputs, outputs in shape.adapted(config.lora_targets))


def optimizer_bytes(shape: ModelDimensions, config: TrainingConfig) -> int:
    """Return what the optimizer keeps of the adapter, bytes."""
    numbers, rank = partial(state_numbers, config.optimizer), config.lora_rank
    adapted = shape.adapted(config.lora_targets)
    layer = sum(numbers(inputs, rank) + numbers(rank, outputs) for inputs, outputs in adapted)
    layer += vector_state_numbers(config.optimizer, _lengths(shape, config))
    return layer * adapted_layers(shape.layers, config) * FLOAT32


def predict_peak(
    shape: ModelDimensions,
    config: TrainingConfig,
    device: Device,
    longest: int | None = None,
    trained: float = 1.0,
    recomputed_layers: int | None = None,
    fill: float = 1.0,
) -> int:
    """Return the most memory that MLX holds at once while training, bytes.

    peak = weights + adapter + optimizer + max(passes, update)

    - weights: see `ModelDimensions.weight_bytes`; resident on a CPU and where so configured.
    - adapter: 4 bytes a trainable weight, the float32 master.
    - optimizer: see `engine.optimizer_facts.state_numbers`; 8 bytes a weight for AdamW's two moments.
    - passes: forward and backward, see `_passes`.
    - update: copies of the adapter, see `_UPDATE`; the activations are gone by then.

    Args:
        shape: sizes of the base model.
        config: the run's configuration; "auto" counts as gradient checkpointing off.
        device: where MLX computes.
        longest: tokens of the longest example; None takes `max_seq_length`.
        trained: share of the tokens that carry loss, 0 to 1.
        recomputed_layers: layers with gradient checkpointing; None takes all or none, as configured.
        fill: share of the positions that hold a token; only attention sees the others.
    """
    length = min(config.max_seq_length, longest or config.max_seq_length)
    if recomputed_layers is None:
        all_layers = adapted_layers(shape.layers, config)
        recomputed_layers = all_layers if config.gradient_checkpointing == "on" else 0
    resident = config.frozen_weights == "resident" or (config.frozen_weights == "auto" and device == "cpu")
    adapter = trainable_parameters(shape, config) * FLOAT32
    passes = _passes(shape, config, device, length, trained, recomputed_layers, fill)
    weights = shape.weight_bytes(device, resident)
    kept = adapter + optimizer_bytes(shape, config)
    copies = _UPDATE[config.optimizer] if device == "cpu" else _FUSED_UPDATE
    return int(weights + kept + max(passes, copies * adapter))


def _passes(
    shape: ModelDimensions,
    config: TrainingConfig,
    device: Device,
    length: int,
    trained: float,
    recomputed_layers: int,
    fill: float,
) -> float:
    """Return what a forward and a backward pass take: kept + max(logits, backward), bytes.

    - kept: what the forward pass keeps for the backward pass, for each of the
      batch_size x length positions of the fullest micro-batch and each layer with an adapter
      (what lies below the first of them is not differentiated): see `_layer_numbers`. A layer
      that is recomputed keeps its input, and one such layer at a time all of it. A number
      takes 4 bytes on a CPU, 2 on a GPU.
    - logits: float32 copies of vocab numbers at each trained position, at most `LOGIT_CHUNK` at a time.
    - backward: one layer's working memory and two float32 gradients of the adapter.
    """
    tokens = config.batch_size * length
    layer = layer_bytes(shape, config, device, length, fill)
    stream = tokens * fill * shape.hidden * _ACTIVATION[device]
    kept, backward = _activations(layer, stream, adapted_layers(shape.layers, config), recomputed_layers)
    logits = _LOGIT_COPIES * FLOAT32 * min(shape.vocab * tokens * trained, LOGIT_CHUNK)
    return kept + max(logits, backward + 2 * FLOAT32 * trainable_parameters(shape, config))


def layer_bytes(
    shape: ModelDimensions, config: TrainingConfig, device: Device, length: int, fill: float = 1.0
) -> float:
    """Return what one layer keeps of a micro-batch for the backward pass, bytes; see `predict_peak`."""
    numbers = config.batch_size * length * _layer_numbers(shape, config, device, length, fill)
    return numbers * _ACTIVATION[device]


def _activations(layer: float, stream: float, layers: int, recomputed: int) -> tuple[float, float]:
    """Return what the forward pass keeps and what a layer's backward pass works in, bytes.

    Args:
        layer: what a layer keeps that is not recomputed.
        stream: what one keeps that is: its input.
        layers: how many have an adapter.
        recomputed: how many of these are recomputed.
    """
    kept = layer * (layers - recomputed) + stream * recomputed
    if recomputed:
        return kept + layer, _RECOMPUTED_LAYER * layer
    return kept, _BACKWARD_LAYER * layer


def layers_to_recompute(
    shape: ModelDimensions,
    config: TrainingConfig,
    device: Device,
    budget: int,
    longest: int | None = None,
    trained: float = 1.0,
    fill: float = 1.0,
) -> int:
    """Return the layers that a run recomputes: as configured; "auto" takes the fewest for `budget` bytes."""
    if config.gradient_checkpointing != "auto" or config.lora_dropout > 0:
        return adapted_layers(shape.layers, config) if config.gradient_checkpointing == "on" else 0
    for count in range(adapted_layers(shape.layers, config)):
        if predict_peak(shape, config, device, longest, trained, count, fill) <= budget:
            return count
    return adapted_layers(shape.layers, config)


def run_bytes(shape: ModelDimensions, config: TrainingConfig) -> int:
    """Return the disk space of one run, bytes.

    There are `keep_checkpoints` checkpoints, the best and one being written, and `adapters/`.
    """
    adapter = trainable_parameters(shape, config) * FLOAT32
    return (adapter + optimizer_bytes(shape, config)) * (config.keep_checkpoints + 2) + adapter


def adapted_layers(layers: int, config: TrainingConfig) -> int:
    """Return how many of a model's `layers` get an adapter."""
    return layers if config.lora_layers < 0 else min(config.lora_layers, layers)


def _layer_numbers(
    shape: ModelDimensions, config: TrainingConfig, device: Device, length: int, fill: float
) -> float:
    """Return the numbers that one layer keeps for each position of the padded rows.

    In the rows queries, keys, values and the attention's output; for each token, the share
    `fill` of the positions, the residual stream twice, its two norms, the attention's output, gate
    and up. With dropout the inputs of the projections and the feed-forward block's inner
    activations come on top; with DoRA what `_beside_lengths` has; on a CPU the attention scores in the
    rows and the gate's sigmoid.
    """
    query, key = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    in_rows, numbers = 2 * query + 2 * key, 4 * shape.hidden + query + 2 * shape.intermediate
    if config.lora_dropout:
        numbers += 5 * shape.hidden + query + 4 * shape.intermediate
    numbers += _beside_lengths(shape, config)
    if device == "cpu":
        in_rows, numbers = in_rows + shape.heads * length, numbers + shape.intermediate
    return in_rows + fill * numbers


def _beside_lengths(shape: ModelDimensions, config: TrainingConfig) -> int:
    """Return what DoRA keeps of each token in a layer that LoRA does not: none of LoRA.

    Each projection's output before it is brought to its lengths; and, as a feed-forward block is not
    computed as one then, the gate's activation and its product with up.
    """
    is_block = {"gate_proj", "up_proj", "down_proj"} <= set(config.lora_targets) and not config.lora_dropout
    inner = 2 * shape.intermediate if config.fine_tune_type == "dora" and is_block else 0
    return _lengths(shape, config) + inner
