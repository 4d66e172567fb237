"""A LoRA or DoRA adapter as its folder holds it, in mlx-lm's form or in PEFT's; read without a model."""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engine.backend import mx
from engine.config import FineTuneType
from engine.dataset.batches.chat_template import NO_THINKING
from engine.errors import UserError, system_reason
from engine.files import open_given, read_given
from engine.fingerprint import given_sha256
from engine.i18n import _
from engine.model.mlx_lm_adapter import (
    BASE_MODEL,
    BASE_PRINT,
    CONFIG,
    TEMPLATE_SETTINGS,
    WEIGHTS,
    check_matrices,
    layers_in,
    lora_parameters,
    mlx_lm_config,
    projections,
)
from engine.model.peft_adapter import PEFT_BASE, PEFT_PICKLE, PEFT_WEIGHTS, as_mlx_lm, peft_sizes
from engine.model_folder.weights import tensor_shapes
from engine.sanitize import one_line

Form = Literal["mlx-lm", "peft"]

_MOST_BYTES = 1 << 20
"""Of `CONFIG`; real ones have less than a thousandth."""
_MOST_LETTERS = 1000
"""Of a name or a fingerprint in it."""
_UNPICKLE = (
    'python -c "import torch, safetensors.torch as s; '
    "s.save_file(torch.load('adapter_model.bin', weights_only=True), 'adapter_model.safetensors')\""
)


@dataclass(frozen=True)
class AdapterFile:
    """An adapter in mlx-lm's terms, whatever its files call things."""

    folder: Path
    form: Form
    """Of the files."""
    config: dict[str, Any]
    """The content of mlx-lm's `adapter_config.json`, without what says nothing of the adapter."""
    weights: dict[str, mx.array]
    """`PATH.lora_a`, (inputs, rank), and `PATH.lora_b`, (rank, outputs), of each layer; DoRA's
    have `PATH.m`, (outputs,), besides."""
    sha256: str
    """Of the weights' file."""

    @property
    def fine_tune_type(self) -> FineTuneType:
        """Kind of its layers."""
        return "dora" if self.config["fine_tune_type"] == "dora" else "lora"

    @property
    def rank(self) -> int:
        """Inner size of its matrices."""
        return int(self.config["lora_parameters"]["rank"])

    @property
    def scale(self) -> float:
        """Factor of its output."""
        return float(self.config["lora_parameters"]["scale"])

    @property
    def keys(self) -> list[str]:
        """Paths, within a layer, of the projections that it changes."""
        return list(self.config["lora_parameters"]["keys"])

    @property
    def template_settings(self) -> dict[str, Any]:
        """Variables of the chat template for the prompts that it was trained on."""
        return dict(self.config.get(TEMPLATE_SETTINGS, {}))

    @property
    def base_model(self) -> str:
        """Name of its base model; empty if it names none."""
        return str(self.config.get(BASE_MODEL, ""))

    @property
    def base_fingerprint(self) -> str:
        """Fingerprint of its base model; empty if it has none."""
        return str(self.config.get(BASE_PRINT, ""))


def read_adapter(folder: Path) -> AdapterFile:
    """Read an adapter of mlx-lm's form or of PEFT's.

    Raises:
        UserError: it is missing or damaged, holds a number that is none, or is of a kind that mlx-lm's
            LoRA layers cannot be.
    """
    try:
        return _read(folder)
    except UserError as error:
        raise cannot_use(folder, error.problem, error.fix) from None
    except OSError as error:
        raise cannot_use(folder, system_reason(error)) from None
    except (ValueError, RuntimeError, RecursionError) as error:
        raise cannot_use(folder, str(error)) from None


def adapter_base(folder: Path) -> str:
    """Return the name of the base model that an adapter was made for; empty if it names none.

    Raises:
        UserError: as `adapter_origin`.
    """
    return str(adapter_origin(folder).get(BASE_MODEL, ""))


def adapter_origin(folder: Path) -> dict[str, Any]:
    """Return what an adapter's configuration says of prompts and base model, as in `AdapterFile.config`.

    Raises:
        UserError: there is none, or its configuration cannot be read.
    """
    try:
        _weights_file(folder)
        config = _config(folder)
        return _origin(config, PEFT_BASE if "peft_type" in config else BASE_MODEL)
    except UserError as error:
        raise cannot_use(folder, error.problem, error.fix) from None
    except OSError as error:
        raise cannot_use(folder, system_reason(error)) from None
    except (ValueError, RecursionError) as error:
        raise cannot_use(folder, str(error)) from None


def cannot_use(folder: Path, reason: str, fix: str = "") -> UserError:
    """Return the refusal of an adapter."""
    return UserError(
        _("Cannot use the adapter in {folder}: {reason}").format(folder=folder, reason=one_line(reason, 300)),
        fix or _("put the whole adapter there again, or take another one"),
    )


def _read(folder: Path) -> AdapterFile:
    path = _weights_file(folder)
    config = _config(folder)
    if "peft_type" in config:
        peft_sizes(config)  # a field that asks for more says why there are other matrices
    form: Form = "peft" if "peft_type" in config else "mlx-lm"
    if path.name != (PEFT_WEIGHTS if form == "peft" else WEIGHTS):
        raise UserError(
            _("its {config} is of {form}'s form, and {file} is not").format(
                config=CONFIG, form="PEFT" if form == "peft" else form, file=path.name
            ),
            _("put both files of one adapter there"),
        )
    open_given(path).close()
    tensor_shapes(path)  # whole, before its numbers are read
    digest, stored = given_sha256(path), mx.load(str(path))
    if form == "peft":
        weights = as_mlx_lm(stored)
        known = _peft_config(config, weights)
    else:
        weights = stored
        known = mlx_lm_config(config, weights) | _origin(config, BASE_MODEL)
    parameters = known["lora_parameters"]
    check_matrices(weights, parameters["rank"], parameters["keys"], known["fine_tune_type"])
    return AdapterFile(folder, form, known, dict(sorted(weights.items())), digest)


def _peft_config(config: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return mlx-lm's configuration for an adapter of PEFT's, whose matrices have mlx-lm's `names`."""
    sizes, keys, layers = peft_sizes(config), projections(names), layers_in(names)
    if layers and layers[-1] - layers[0] >= len(layers):
        raise UserError(
            _("it leaves out layers between {first} and {last}, which mlx-lm's form cannot say").format(
                first=layers[0], last=layers[-1]
            ),
            _("train it on all layers, or on the last ones"),
        )
    return {
        "fine_tune_type": "dora" if sizes.use_dora else "lora",
        "num_layers": len(layers),
        "lora_parameters": lora_parameters(sizes.r, sizes.scale, sizes.lora_dropout, keys),
    } | _origin(config, PEFT_BASE)


def _origin(config: Mapping[str, Any], base: str) -> dict[str, Any]:
    """Return what a configuration says of prompts and base model, as far as it is understood."""
    settings = config.get(TEMPLATE_SETTINGS)
    known = (
        {name: settings[name] for name in NO_THINKING if isinstance(settings.get(name), bool)}
        if isinstance(settings, dict)
        else {}
    )
    said = {
        TEMPLATE_SETTINGS: known,
        BASE_MODEL: _text(config, base),
        BASE_PRINT: _text(config, BASE_PRINT),
    }
    return {name: value for name, value in said.items() if value}


def _text(config: Mapping[str, Any], name: str) -> str:
    value = config.get(name)
    return value if isinstance(value, str) and len(value) <= _MOST_LETTERS else ""


def _weights_file(folder: Path) -> Path:
    """Return the one file with weights that the folder has."""
    found = [folder / name for name in (WEIGHTS, PEFT_WEIGHTS) if os.path.lexists(folder / name)]
    if len(found) == 2:
        raise UserError(
            _("it holds two, {one} and {other}").format(one=WEIGHTS, other=PEFT_WEIGHTS),
            _("take one of them away"),
        )
    if found:
        return found[0]
    if os.path.lexists(folder / PEFT_PICKLE):
        raise UserError(
            _("{file} is a pickle, which can run any program as it is read").format(file=PEFT_PICKLE),
            _("if you trust it, write it as safetensors where PyTorch is, in its folder: {command}").format(
                command=_UNPICKLE
            ),
        )
    raise UserError(
        _("it has neither {one} nor {other}").format(one=WEIGHTS, other=PEFT_WEIGHTS)
        if folder.is_dir()
        else _("there is no such folder"),
        _("name a folder with an adapter of mlx-lm or PEFT"),
    )


def _config(folder: Path) -> dict[str, Any]:
    if not os.path.lexists(folder / CONFIG):
        raise UserError(_("it has no {file}").format(file=CONFIG), _("put the adapter's own there"))
    config = json.loads(read_given(folder / CONFIG, _MOST_BYTES))
    if not isinstance(config, dict):
        raise ValueError(_("{file} holds no JSON object").format(file=CONFIG))
    return config
