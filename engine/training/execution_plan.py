"""How a run's steps are computed on this machine: chosen once, by measurement and memory, then kept.

The choice decides how numbers are rounded, so a checkpoint carries it: a resumed
run goes on exactly as it began, whatever is measured on another day.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from engine.backend import UNLIMITED, bytes_in_flight, compute_dtype, is_cpu, nn
from engine.config import TrainingConfig
from engine.dataset.batches.cut import BatchShape
from engine.errors import UserError
from engine.i18n import _
from engine.memory.predict import MemoryBudget, adapted_layers, layer_bytes, layers_to_recompute, predict_peak
from engine.model.frozen_linear import matrix_key, matrix_shape
from engine.model.matmul_benchmark import calibrate
from engine.model.matmul_timings import MatmulMode, Seconds
from engine.model.mlx_lm_adapter import ADAPTER_PARTS
from engine.model.replace_layers import packed_layers
from engine.model_folder.dimensions import Device, ModelDimensions
from engine.setting_words import value_word
from engine.units import size

from mlx.utils import tree_flatten
from pydantic import Field, TypeAdapter

USABLE = 0.85
"""Share of the memory there is that a plan may fill: predictions are within 15 %."""


@dataclass(frozen=True)
class Plan:
    """What was chosen."""

    matmul_modes: Annotated[dict[str, MatmulMode], Field(alias="ways")]
    """How to multiply by each kind of quantised matrix, by `matrix_key`; "ways" in a checkpoint."""
    recomputed_layers: int
    """Layers with an adapter, counted from the first, whose activations are computed again."""
    micro_batch_divisor: int = 1
    """How many times fewer tokens than usual a micro-batch has."""

    @classmethod
    def parse(cls, values: Any) -> "Plan":
        """Read what `as_dict` gave.

        Raises:
            ValueError: it is something else.
        """
        return TypeAdapter(cls).validate_python(values)

    def as_dict(self) -> dict[str, Any]:
        """Return it as a checkpoint carries it."""
        values: dict[str, Any] = TypeAdapter(Plan).dump_python(self, by_alias=True)
        return values


def make_plan(
    model: nn.Module,
    folder: Path,
    config: TrainingConfig,
    shape: BatchShape,
    budget: MemoryBudget,
    divisor: int,
    is_too_much: bool,
) -> tuple[Plan, str]:
    """Choose for a model that has its adapter attached, and say why in one sentence.

    Args:
        model: with mlx-lm's layers.
        folder: of the base model.
        config: the run's configuration; a setting that names a mode is followed.
        shape: the largest micro-batch.
        budget: the memory there is, the model's included.
        divisor: how many times fewer tokens than usual it has.
        is_too_much: memory ran out with a single row: every layer is computed again.

    Raises:
        UserError: gradient checkpointing is "on" together with dropout.
    """
    refuse_dropout(config)
    kinds = _Kinds(model)
    usable = int(budget.free * USABLE)
    if is_too_much and config.gradient_checkpointing == "auto" and not config.lora_dropout:
        config = config.updated({"gradient_checkpointing": "on"})
    recomputed = _recomputed(model, folder, config, shape, usable)
    needed = needed_bytes(model, folder, config, shape, Plan({}, recomputed)) or usable // 2
    modes, reason = _modes(kinds, config, shape.tokens, max(0, usable - needed) if divisor == 1 else 0)
    return Plan(modes, recomputed, divisor), reason


def is_short_of_memory(folder: Path, config: TrainingConfig, shape: BatchShape, budget: MemoryBudget) -> bool:
    """Whether activations would have to be recomputed to let a card have all the work there is at once.

    The arguments are those of `make_plan`.
    """
    sizes = ModelDimensions.read(folder)
    if sizes is None:
        return False
    in_flight = bytes_in_flight(_activations(sizes, config, shape), UNLIMITED)
    return _peak(sizes, config, shape, 0) + in_flight > budget.free * USABLE


def needed_bytes(
    model: nn.Module, folder: Path, config: TrainingConfig, shape: BatchShape, plan: Plan
) -> int | None:
    """Return the predicted peak of a plan, bytes; None for a model whose need is not known.

    Args:
        model: with mlx-lm's layers.
        folder: of the base model.
        config: the run's configuration.
        shape: the largest micro-batch.
        plan: how its steps are computed.
    """
    sizes = ModelDimensions.read(folder)
    if sizes is None:
        return None
    peak = _peak(sizes, config, shape, plan.recomputed_layers)
    peak += bytes_in_flight(_activations(sizes, config, shape))
    # The model is here: what it takes need not be predicted.
    arrays = dict(tree_flatten(model.parameters())).items()
    weights: int = sum(a.nbytes for name, a in arrays if not name.endswith(ADAPTER_PARTS))
    kinds = _Kinds(model)
    written = sum(kinds.extra_bytes(key) for key in kinds.layers if plan.matmul_modes.get(key) == "resident")
    return peak - sizes.weight_bytes(_device(), resident=False) + weights + written


def _recomputed(
    model: nn.Module, folder: Path, config: TrainingConfig, shape: BatchShape, usable: int
) -> int:
    """Return how many of the layers with an adapter to recompute; none too many where `usable` bytes are."""
    sizes = ModelDimensions.read(folder)
    if sizes is None:  # its need is not known
        on = config.gradient_checkpointing == "on"
        return adapted_layers(len(model.layers), config) if on else 0
    # What the model that is here takes besides what is predicted for it.
    needed = needed_bytes(model, folder, config, shape, Plan({}, 0)) or 0
    budget = usable - (needed - _peak(sizes, config, shape, 0))
    filled, length = _filled(config, shape), shape.length
    return layers_to_recompute(sizes, filled, _device(), budget, length, shape.trained, shape.fill)


def _device() -> Device:
    return "cpu" if is_cpu() else "gpu"


def _peak(sizes: ModelDimensions, config: TrainingConfig, shape: BatchShape, recomputed: int) -> int:
    """Return what is predicted for micro-batches of a shape with packed weights, bytes."""
    filled = _filled(config, shape)
    return predict_peak(sizes, filled, _device(), shape.length, shape.trained, recomputed, fill=shape.fill)


def _activations(sizes: ModelDimensions, config: TrainingConfig, shape: BatchShape) -> int:
    """Return what all layers keep of a micro-batch of a shape, none of them recomputed, bytes."""
    layer = layer_bytes(sizes, _filled(config, shape), _device(), shape.length, shape.fill)
    return int(sizes.layers * layer)


def _filled(config: TrainingConfig, shape: BatchShape) -> TrainingConfig:
    """Return what `predict_peak` takes for micro-batches of a shape, frozen weights packed."""
    return config.model_copy(update={"batch_size": shape.rows, "frozen_weights": "packed"})


def refuse_dropout(config: TrainingConfig) -> None:
    """Refuse gradient checkpointing with dropout: the second forward pass would draw other units.

    Raises:
        UserError: both are asked for.
    """
    if config.gradient_checkpointing == "on" and config.lora_dropout > 0:
        raise UserError(
            _("gradient_checkpointing=on does not go with lora_dropout={dropout}").format(
                dropout=config.lora_dropout
            ),
            _("set lora_dropout=0 or gradient_checkpointing=off"),
        )


class _Kinds:
    """The kinds of quantised matrices in a model, with what writing them out would take."""

    def __init__(self, model: nn.Module) -> None:
        layers = packed_layers(model)
        self.layers = {matrix_key(layer): layer for layer in layers}
        self._counts = Counter(matrix_key(layer) for layer in layers)

    def extra_bytes(self, key: str) -> int:
        """Return the bytes that all matrices of a kind take more when they are resident."""
        layer = self.layers[key]
        outputs, inputs = matrix_shape(layer)
        stays = isinstance(layer, nn.QuantizedEmbedding)  # its rows are still looked up
        arrays = () if stays else (layer.get(name) for name in ("weight", "scales", "biases"))
        packed = sum(array.nbytes for array in arrays if array is not None)
        return self._counts[key] * int(outputs * inputs * compute_dtype().size - packed)

    def saved_seconds(self, key: str, times: Seconds) -> float:
        """Return the seconds of a pass that residence saves for a kind, against the next best mode."""
        return self._counts[key] * (times[_unwritten(times)] - times["resident"])


def _modes(
    kinds: _Kinds, config: TrainingConfig, rows: int, budget: int
) -> tuple[dict[str, MatmulMode], str]:
    """Return the mode of each kind, and why in a sentence if it was chosen; `budget` bytes are left over."""
    if config.frozen_weights != "auto":
        return dict.fromkeys(kinds.layers, config.frozen_weights), ""
    times = calibrate(kinds.layers, rows, compute_dtype())
    modes = {key: _unwritten(found) for key, found in times.items()}
    gains = {key: kinds.saved_seconds(key, found) for key, found in times.items()}
    taken = 0
    for key in sorted(gains, key=lambda key: gains[key] / max(1, kinds.extra_bytes(key)), reverse=True):
        extra = kinds.extra_bytes(key)
        if gains[key] > 0 and taken + extra <= budget:
            modes[key] = "resident"
            taken += extra
    return modes, _sentence(modes, times, taken, budget)


def _unwritten(times: Seconds) -> MatmulMode:
    """Return the faster of the modes that keep the matrix packed."""
    return min((mode for mode in times if mode != "resident"), key=lambda mode: times[mode])


def _sentence(modes: Mapping[str, MatmulMode], times: Mapping[str, Seconds], taken: int, budget: int) -> str:
    if not modes:
        return ""
    largest = max(times.values(), key=lambda found: found["resident"])
    return _("Frozen weights: {ways}. Largest product: {times}. Memory for it: {taken} of {room}").format(
        ways=", ".join(
            f"{value_word(mode)} ({count})" for mode, count in Counter(modes.values()).most_common()
        ),
        times=", ".join(
            _("{way} {time:.1f} ms").format(way=value_word(mode), time=seconds * 1e3)
            for mode, seconds in largest.items()
        ),
        taken=size(taken),
        room=size(budget),
    )
