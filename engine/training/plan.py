"""How a run's steps are computed on this machine: chosen once, by measurement and memory, then kept.

The choice decides how numbers are rounded, so a checkpoint carries it: a resumed
run goes on exactly as it began, whatever is measured on another day.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.backend import compute_dtype, nn
from engine.config import TrainingConfig
from engine.dataset.cutting import Shape
from engine.errors import UserError
from engine.i18n import _
from engine.memory import ModelShape, layers_to_recompute, predict_peak
from engine.model.calibration import Seconds, calibrate
from engine.model.fast import packed_layers
from engine.model.frozen import Way, matrix_key, matrix_shape
from engine.model.room import read_room
from engine.words import size

from pydantic import TypeAdapter

_USABLE = 0.85
"""Share of the memory there is that a plan may fill: predictions are within 15 %."""


@dataclass(frozen=True)
class Plan:
    """What was chosen."""

    ways: dict[str, Way]
    """How to multiply by each kind of quantised matrix, by `matrix_key`."""
    recomputed_layers: int
    """Layers with an adapter, counted from the first, whose activations are computed again."""
    micro_batch_divisor: int = 1
    """How many times fewer tokens than usual a micro-batch has."""

    @classmethod
    def parse(cls, values: Any) -> "Plan":
        """Read what `dataclasses.asdict` gave.

        Raises:
            ValueError: it is something else.
        """
        return TypeAdapter(cls).validate_python(values)


def make_plan(
    model: nn.Module, folder: Path, config: TrainingConfig, shape: Shape, divisor: int, is_too_much: bool
) -> tuple[Plan, str]:
    """Choose for a model that has its adapter attached, and say why in one sentence.

    Args:
        model: with mlx-lm's layers.
        folder: of the base model.
        config: the run's configuration; a setting that names a way is followed.
        shape: the largest micro-batch.
        divisor: how many times fewer tokens than usual it has.
        is_too_much: memory ran out with a single row: every layer is computed again.

    Raises:
        UserError: gradient checkpointing is "on" together with dropout.
    """
    refuse_dropout(config)
    kinds = _Kinds(model)
    adapted = len(model.layers) if config.lora_layers < 0 else min(config.lora_layers, len(model.layers))
    room = read_room()
    free = int(room.free * _USABLE)
    try:
        sizes = ModelShape.read(folder)
        filled = config.model_copy(update={"batch_size": shape.rows, "frozen_weights": "packed"})
        trained = shape.targets / shape.tokens
        recomputed = layers_to_recompute(sizes, filled, room.device, free, shape.length, trained)
        needed = predict_peak(sizes, filled, room.device, shape.length, trained, recomputed_layers=recomputed)
    except UserError:  # not a llama-like model: its need is not known
        recomputed = adapted if config.gradient_checkpointing == "on" else 0
        needed = free // 2
    if is_too_much and config.gradient_checkpointing == "auto" and not config.lora_dropout:
        recomputed = adapted
    ways, reason = _ways(kinds, config, shape.tokens, max(0, free - needed) if divisor == 1 else 0)
    return Plan(ways, recomputed, divisor), reason


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
        arrays = (layer.get(name) for name in ("weight", "scales", "biases"))
        packed = sum(array.nbytes for array in arrays if array is not None)
        return self._counts[key] * int(outputs * inputs * compute_dtype().size - packed)

    def saved_seconds(self, key: str, times: Seconds) -> float:
        """Return the seconds of a pass that residence saves for a kind, against the next best way."""
        return self._counts[key] * (min(times["packed"], times["transient"]) - times["resident"])


def _ways(kinds: _Kinds, config: TrainingConfig, rows: int, room: int) -> tuple[dict[str, Way], str]:
    """Return the way of each kind, and why in a sentence where it was chosen; `room` bytes are left over."""
    if config.frozen_weights != "auto":
        return dict.fromkeys(kinds.layers, config.frozen_weights), ""
    times = calibrate(kinds.layers, rows, compute_dtype())
    ways: dict[str, Way] = {
        key: "packed" if found["packed"] <= found["transient"] else "transient"
        for key, found in times.items()
    }
    gains = {key: kinds.saved_seconds(key, found) for key, found in times.items()}
    taken = 0
    for key in sorted(gains, key=lambda key: gains[key] / max(1, kinds.extra_bytes(key)), reverse=True):
        extra = kinds.extra_bytes(key)
        if gains[key] > 0 and taken + extra <= room:
            ways[key] = "resident"
            taken += extra
    return ways, _sentence(ways, times, taken, room)


def _sentence(ways: Mapping[str, Way], times: Mapping[str, Seconds], taken: int, room: int) -> str:
    if not ways:
        return ""
    counts = Counter(ways.values())
    slowest = max(times.values(), key=lambda found: found["packed"])
    return _(
        "Frozen weights: {ways}; the largest product takes {packed:.1f} ms packed, "
        "{transient:.1f} transient, {resident:.1f} resident; written out they take {taken} of {room}"
    ).format(
        ways=", ".join(f"{way} ({count} of {len(ways)} kinds)" for way, count in counts.items()),
        packed=slowest["packed"] * 1e3,
        transient=slowest["transient"] * 1e3,
        resident=slowest["resident"] * 1e3,
        taken=size(taken),
        room=size(room),
    )
