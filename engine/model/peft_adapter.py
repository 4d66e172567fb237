"""PEFT's form of a LoRA or DoRA adapter, which Unsloth writes too, in mlx-lm's terms.

A linear layer `path` has `base_model.model.path.lora_A.weight`, (rank, inputs), and
`base_model.model.path.lora_B.weight`, (outputs, rank): Aᵀ and Bᵀ of mlx-lm's `path.lora_a` and
`path.lora_b`; DoRA's lengths are `base_model.model.path.lora_magnitude_vector`, (outputs,). The scale is
alpha / rank, or alpha / √rank (Kalajdzievski, 2023, "rsLoRA"). What else a configuration may ask for
changes the result, and is refused by its name.
"""

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any

from engine.backend import mx
from engine.errors import UserError
from engine.i18n import _
from engine.model.mlx_lm_adapter import BASE_PRINT, LENGTHS, TEMPLATE_SETTINGS
from engine.sanitize import one_line
from engine.values import refusal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

PEFT_WEIGHTS = "adapter_model.safetensors"
PEFT_PICKLE = "adapter_model.bin"
"""Older form of the weights, whose bytes are a program."""
PEFT_BASE = "base_model_name_or_path"
"""Field of the configuration with the base model's name on the Hub, or its folder."""
PEFT_LENGTHS = "lora_magnitude_vector"
"""Name of DoRA's lengths in files; in a model of PEFT `.weight` follows it, which is read, too."""
_MATRIX = re.compile(r"base_model\.model\.(?P<path>.+)\.lora_(?P<which>[AB])\.weight")
_LENGTHS = re.compile(rf"base_model\.model\.(?P<path>.+)\.{PEFT_LENGTHS}(?:\.weight)?")
_PLAIN_STARTS = (None, True, False, "gaussian", "eva", "orthogonal")
"""Of `init_lora_weights`: the others (PiSSA, OLoRA, LoftQ, ...) change the base model's own weights."""
_INDIFFERENT = frozenset(
    (
        *(PEFT_BASE, BASE_PRINT, TEMPLATE_SETTINGS),
        *("auto_mapping", "peft_type", "peft_version", "revision", "task_type"),
        *("inference_mode", "target_modules", "exclude_modules", "layers_to_transform", "layers_pattern"),
        *("eva_config", "loftq_config", "megatron_core", "qalora_group_size", "ensure_weight_tying"),
        *("bias", "init_lora_weights", "r", "lora_alpha", "lora_dropout", "use_rslora", "use_dora"),
    )
)
"""Fields that are read, that only say where layers come from, or that mean nothing while others are unset."""


class PeftSizes(BaseModel):
    """The numbers of PEFT's configuration."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    r: Annotated[int, Field(ge=1, le=2**16)]
    lora_alpha: Annotated[float, Field(ge=-1e6, le=1e6)]
    lora_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    use_rslora: bool = False
    use_dora: bool = False

    @property
    def scale(self) -> float:
        """Factor of the adapter's output."""
        return self.lora_alpha / (math.sqrt(self.r) if self.use_rslora else self.r)


def peft_sizes(config: Mapping[str, Any]) -> PeftSizes:
    """Return the numbers of a configuration, all else of which is as mlx-lm's layers have it.

    Raises:
        UserError: a number is wrong, or a field asks for what these layers do not have.
    """
    _require("peft_type", config, ("LORA",))
    _require("task_type", config, (None, "CAUSAL_LM"))
    _require("bias", config, (None, "none"))
    _require("init_lora_weights", config, _PLAIN_STARTS)
    for name, value in config.items():
        if name not in _INDIFFERENT and value:
            raise _unknown(name, value)
    try:
        return PeftSizes.model_validate(config)
    except ValidationError as error:
        raise refusal(error, PeftSizes.model_fields) from None


def as_mlx_lm(arrays: Mapping[str, mx.array]) -> dict[str, mx.array]:
    """Return PEFT's matrices by mlx-lm's names and with its axes.

    Raises:
        UserError: one is no matrix of a linear layer's adapter.
    """
    return dict(_converted(name, array) for name, array in arrays.items())


def _converted(name: str, array: mx.array) -> tuple[str, mx.array]:
    if (match := _LENGTHS.fullmatch(name)) and array.ndim == 1:
        return f"{match['path']}{LENGTHS}", array
    match = _MATRIX.fullmatch(name)
    if not match or array.ndim != 2:
        raise UserError(
            _("{name} is no matrix of a linear layer's adapter").format(name=one_line(name, 120)),
            _("train it on linear layers alone"),
        )
    # As it lies in memory after a resume: a GPU may multiply a turned view otherwise, and so round otherwise.
    return f"{match['path']}.lora_{match['which'].lower()}", mx.contiguous(array.T)


def _require(name: str, config: Mapping[str, Any], allowed: tuple[Any, ...]) -> None:
    value = config.get(name)
    if not isinstance(value, str | bool | None) or value not in allowed:
        raise _unknown(name, value)


def _unknown(name: str, value: Any) -> UserError:
    return UserError(
        _("it has {name} = {value}, which mlx-lm's LoRA layers cannot do").format(
            name=one_line(name, 60), value=one_line(repr(value), 60)
        ),
        _("train it without that, or merge it into its base model with PEFT and use that as the model"),
    )
