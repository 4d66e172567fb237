"""LoRA adapters in mlx-lm's layer and file format."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from engine.backend import mx, nn
from engine.config import TrainingConfig
from engine.dataset.batches.chat_template import NO_THINKING
from engine.errors import UserError
from engine.files import PARTIAL, open_given, read_given, sync, write_json
from engine.i18n import _
from engine.model.safetensors_file import write_arrays
from engine.sanitize import one_line
from engine.transformers_import import AutoTokenizer  # noqa: F401  # before mlx-lm
from engine.values import refusal

from mlx.utils import tree_flatten, tree_unflatten
from mlx_lm.tuner.utils import linear_to_lora_layers, load_adapters
from pydantic import BaseModel, ConfigDict, Field, ValidationError

WEIGHTS = "adapters.safetensors"
CONFIG = "adapter_config.json"
TEMPLATE_SETTINGS = "chat_template_kwargs"
"""Field of `CONFIG`; the name is that of transformers and of servers."""
_MOST_BYTES = 1 << 20
"""Of `CONFIG`; real ones have less than a thousandth."""


class _Sizes(BaseModel):
    """The numbers of an adapter's configuration."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    num_layers: Annotated[int, Field(ge=-1, le=10**6)]
    rank: Annotated[int, Field(ge=1, le=2**16)]
    scale: Annotated[float, Field(ge=-1e6, le=1e6)]
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0


def attach_adapter(model: nn.Module, config: TrainingConfig) -> dict[str, Any]:
    """Put fresh LoRA layers on a frozen model and make them alone trainable.

    The start values are drawn from `config.seed`: A uniform, B zero, so the
    first output equals the base model's.

    Returns:
        The content of `adapter_config.json`.

    Raises:
        UserError: no layer is to get one, or none has a projection named in `config.lora_targets`.
    """
    if config.lora_layers == 0:
        raise UserError(
            _("With lora_layers=0 no layer gets an adapter, so nothing would be trained"),
            _("set lora_layers to how many layers shall get one, or to -1 for all"),
        )
    layers = len(model.layers)
    count = layers if config.lora_layers == -1 else min(config.lora_layers, layers)
    keys = _target_paths(model.layers[layers - count :], config.lora_targets)
    if not keys:
        raise UserError(
            _("No layer of this model has a projection named {names}").format(
                names=", ".join(config.lora_targets)
            ),
            _("choose other lora_targets"),
        )
    parameters = {
        "rank": config.lora_rank,
        "scale": config.lora_scale,
        "dropout": config.lora_dropout,
        "keys": keys,
    }
    mx.random.seed(config.seed)
    model.freeze()
    linear_to_lora_layers(model, count, parameters)
    mx.eval(model.trainable_parameters())
    return {"fine_tune_type": "lora", "num_layers": count, "lora_parameters": parameters}


def _target_paths(layers: Sequence[nn.Module], names: Sequence[str]) -> list[str]:
    """Return the paths within a layer of the projections with one of these names."""
    return sorted(
        {
            path
            for layer in layers
            for path, module in layer.named_modules()
            if path.rpartition(".")[2] in names and isinstance(module, (nn.Linear, nn.QuantizedLinear))
        }
    )


def adapter_weights(model: nn.Module) -> dict[str, mx.array]:
    """Return the trainable parameters by their path, sorted."""
    return dict(sorted(tree_flatten(model.trainable_parameters())))


def save_adapter(folder: Path, weights: dict[str, mx.array], adapter_config: dict[str, Any]) -> None:
    """Write an adapter that replaces the one in `folder` in one step.

    The small configuration goes first; it is the same for all of a run, so the
    two files fit together at every moment.

    Raises:
        OSError: the disk is full or the folder cannot be written.
    """
    folder.mkdir(exist_ok=True)
    write_json(folder / CONFIG, adapter_config)
    partial = folder / f"{PARTIAL}{WEIGHTS}"
    write_arrays(partial, weights)
    partial.replace(folder / WEIGHTS)
    sync(folder)


class LoadedAdapter:
    """An adapter on a base model. Turned off its layers are out of the model, so that it costs nothing."""

    def __init__(self, model: nn.Module, before: dict[str, nn.Module], config: dict[str, Any]) -> None:
        """Find the layers of `model` that took the place of those there were `before`, by their path.

        Args:
            model: with the adapter.
            before: the modules of the model without it.
            config: the content of `adapter_config.json`.
        """
        settings = config.get(TEMPLATE_SETTINGS)
        self.template_settings: dict[str, Any] = (
            {name: settings[name] for name in NO_THINKING if name in settings}
            if isinstance(settings, dict)
            else {}
        )
        """Variables of the chat template for the prompts that it was trained on."""
        self._model = model
        self._on = [
            (path, layer) for path, layer in model.named_modules() if before.get(path, layer) is not layer
        ]
        self._off = [(path, before[path]) for path, _layer in self._on]

    def turn(self, on: bool) -> None:
        """Let the model answer with the adapter, or as the base model does."""
        self._model.update_modules(tree_unflatten(self._on if on else self._off))


def load_adapter(model: nn.Module, folder: Path) -> LoadedAdapter:
    """Put the adapter in `folder` on a base model and return it, turned on.

    Raises:
        UserError: the files are missing, damaged or made for another model.
    """
    try:
        config = _checked_config(folder)
        before = dict(model.named_modules())
        load_adapters(model, str(folder))
        _check_weights(model, folder)
    except Exception as error:  # missing keys, wrong shapes, damaged files: mlx-lm raises many types
        reason = error.problem if isinstance(error, UserError) else str(error)
        raise UserError(
            _("Cannot use the adapter in {folder}: {reason}").format(
                folder=folder, reason=one_line(reason, 200)
            ),
            _("train again, or chat with the base model"),
        ) from None
    return LoadedAdapter(model, before, config)


def _checked_config(folder: Path) -> dict[str, Any]:
    """Refuse what is not LoRA, it cannot be turned off, numbers beyond reason, and weights in no file."""
    open_given(folder / WEIGHTS).close()
    config = json.loads(read_given(folder / CONFIG, _MOST_BYTES))
    if not isinstance(config, dict) or not isinstance(config.get("lora_parameters"), dict):
        raise ValueError(_("{file} has no lora_parameters, as mlx-lm's have").format(file=CONFIG))
    if config.get("fine_tune_type", "lora") != "lora":
        raise ValueError(_("its fine_tune_type is not lora"))
    parameters = config["lora_parameters"]
    try:
        _Sizes.model_validate({"num_layers": config.get("num_layers"), **parameters})
    except ValidationError as error:
        raise refusal(error, _Sizes.model_fields, CONFIG) from None
    keys = parameters.get("keys")
    if keys is not None and not (isinstance(keys, list) and all(isinstance(key, str) for key in keys)):
        raise ValueError(_("its keys are no list of names"))
    return config


def _check_weights(model: nn.Module, folder: Path) -> None:
    """Refuse a file that spoils a matrix, or leaves it at its start value, whatever its size may be."""
    stored = mx.load(str(folder / WEIGHTS))
    for name, _array in tree_flatten(model.parameters()):
        if name.endswith((".lora_a", ".lora_b")) and name not in stored:
            raise ValueError(_("{name} is missing").format(name=name))
    for name, array in stored.items():
        if not mx.issubdtype(array.dtype, mx.floating) or not mx.isfinite(array).all():
            raise ValueError(_("{name} holds what is no finite decimal number").format(name=name))
