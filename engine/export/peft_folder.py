"""An adapter in PEFT's form; one of LoRA is loaded by vLLM, too."""

from pathlib import Path
from typing import Any

from engine.backend import mx
from engine.errors import UserError
from engine.files import write_json
from engine.i18n import _
from engine.lora_targets import FUSED
from engine.model.adapter_file import AdapterFile
from engine.model.mlx_lm_adapter import CONFIG, LENGTHS, TEMPLATE_SETTINGS
from engine.model.peft_adapter import PEFT_LENGTHS, PEFT_WEIGHTS
from engine.model.safetensors_file import write_arrays

_FUSED_ALIKE = ("glm", "glm4", "phi3")
"""Architectures whose fused projections have the same names and the same order of rows in transformers."""


def write_peft(adapter: AdapterFile, base_name: str, layers: int, folder: Path) -> None:
    """Write `adapter_model.safetensors` and `adapter_config.json`.

    Args:
        adapter: whose A (inputs, rank) and B (rank, outputs) PEFT keeps turned, as lora_A and lora_B;
            DoRA's lengths stay as they are.
        base_name: what loads the base model: its name on the hub, or a folder.
        layers: of the base model.
        folder: to fill.

    Raises:
        OSError: it cannot be written.
    """
    weights = {_peft_name(name): mx.contiguous(array.T) for name, array in adapter.weights.items()}
    write_arrays(folder / PEFT_WEIGHTS, weights, form="pt")
    write_json(folder / CONFIG, _config(adapter, base_name, layers))


def require_same_projections(model_type: object, adapter: AdapterFile) -> None:
    """Refuse an adapter of fused projections where nobody knows whether transformers fuses alike.

    Args:
        model_type: of the base model's `config.json`.
        adapter: to be written.

    Raises:
        UserError: with their names.
    """
    names = sorted({key.rpartition(".")[2] for key in adapter.keys} & FUSED.keys())
    if names and model_type not in _FUSED_ALIKE:
        raise UserError(
            _(
                "{names} cannot be written in PEFT's form: only of {known} is it known to be fused alike"
            ).format(names=", ".join(names), known=", ".join(_FUSED_ALIKE)),
            _("export it with --to mlx"),
        )


def _peft_name(name: str) -> str:
    path, _dot, part = name.rpartition(".")
    if f".{part}" == LENGTHS:
        return f"base_model.model.{path}.{PEFT_LENGTHS}"
    return f"base_model.model.{path}.lora_{part[-1].upper()}.weight"


def _config(adapter: AdapterFile, base_name: str, layers: int) -> dict[str, Any]:
    alpha = adapter.scale * adapter.rank
    numbers = sorted({int(name.split(".layers.", 1)[1].split(".", 1)[0]) for name in adapter.weights})
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base_name,
        "r": adapter.rank,
        "lora_alpha": int(alpha) if alpha == int(alpha) else alpha,
        "lora_dropout": adapter.config["lora_parameters"].get("dropout", 0.0),
        "target_modules": sorted({key.rpartition(".")[2] for key in adapter.keys}),
        "bias": "none",
        "use_dora": adapter.fine_tune_type == "dora",
        "inference_mode": True,
    }
    if len(numbers) < layers:
        config |= {"layers_to_transform": numbers, "layers_pattern": "layers"}
    settings = adapter.template_settings
    return config | ({TEMPLATE_SETTINGS: settings} if settings else {})
