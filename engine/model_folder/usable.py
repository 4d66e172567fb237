"""Whether a base model can be used at all: one answer for all who ask, with one cause and one cure."""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from engine.errors import UserError
from engine.i18n import _
from engine.model_folder.architectures import architecture_of, is_known
from engine.model_folder.config_fields import misfits
from engine.model_folder.settings import again, optional_settings, read_settings, require_file, require_plain
from engine.model_folder.trust import names_code, refuse_code, wants_code
from engine.model_folder.weights import read_weights
from engine.sanitize import one_line

_TOKENIZERS = ("tokenizer.json", "tokenizer.model")
"""What a tokenizer is made from; the second is turned into the first when it is loaded."""
_OTHER_TOKENIZERS = ("tekken.json", "vocab.json", "tiktoken.model", "vocab.txt")
_LAYER_COUNTS = ("num_hidden_layers", "num_layers", "n_layers", "n_layer")
_SIZES = (*_LAYER_COUNTS, "hidden_size", "intermediate_size", "num_attention_heads", "vocab_size", "head_dim")
_LARGEST = 2**31
_PARTS = re.compile(r"(^|_)(layers?|heads?|experts?|blocks?|groups?)$")
"""How fields are called that count what is built one by one."""
_MOST_PARTS = 100_000
_QUANTISED = ("awq", "bitnet", "compressed-tensors", "fp8", "gptq", "modelopt", "mxfp4", "mxfp8")
"""Forms of other programs that `mlx_lm.utils.load_model` turns into its own."""
_SETTINGS = ("tokenizer_config.json", "generation_config.json", "special_tokens_map.json")


@dataclass(frozen=True)
class ModelFiles:
    """What a usable model folder holds."""

    config: dict[str, Any]
    """Its `config.json`."""
    weights: tuple[Path, ...]
    """Files with its weights."""

    @property
    def bits(self) -> int | None:
        """Bits of a quantised weight; None if they are not quantised, or in a form without a number."""
        bits = self._quantization.get("bits")
        return bits if isinstance(bits, int) else None

    @property
    def is_quantised(self) -> bool:
        """Whether most weights are kept in fewer than 16 bits."""
        return bool(self._quantization)

    @property
    def _quantization(self) -> dict[str, Any]:
        text = self.config.get("text_config")
        for settings in (self.config, text if isinstance(text, dict) else {}):
            for name in ("quantization", "quantization_config"):
                if isinstance(found := settings.get(name), dict) and found:
                    return found
        return {}


def require_usable(folder: Path) -> ModelFiles:
    """Check that a model folder is whole, brings no code and is of an architecture that mlx-lm has.

    Whether the weights are those that the architecture wants is seen when it is
    loaded, see `engine.model_folder.trial`.

    Raises:
        UserError: it cannot be used.
    """
    config = require_known(folder)
    weights = read_weights(folder)
    _require_sizes(folder, config, sum(map(len, weights.values())))
    require_tokenizer(folder)
    return ModelFiles(config, tuple(weights))


def require_known(folder: Path) -> dict[str, Any]:
    """Check what can be said of a model without its weights, and return its `config.json`.

    Raises:
        UserError: it brings code, or mlx-lm lacks its architecture or does not read its form.
    """
    config = read_settings(folder / "config.json")
    refuse_code(folder)
    _require_architecture(folder, config)
    _require_kinds(folder, config)
    _require_known_form(folder, config)
    return config


def require_tokenizer(folder: Path) -> None:
    """Check that the files of a model's tokenizer are there and can be read.

    Raises:
        UserError: they cannot be used.
    """
    require_plain(folder)
    refuse_code(folder)
    for name in _SETTINGS:
        optional_settings(folder / name)
    if os.path.lexists(folder / "chat_template.jinja"):
        require_file(folder / "chat_template.jinja")
    found = next((name for name in _TOKENIZERS if (folder / name).exists()), None)
    if found is None:
        raise _without_tokenizer(folder)
    require_file(folder / found)
    if found == "tokenizer.json":
        read_settings(folder / found)


def _require_architecture(folder: Path, config: dict[str, Any]) -> None:
    kind = config.get("model_type")
    if not isinstance(kind, str):
        problem = (
            _("{path} does not say what kind of model it is: model_type is missing")
            if kind is None
            else _("{path} does not say what kind of model it is: model_type is {value}, which is no name")
        )
        value = one_line(json.dumps(kind), 40)
        raise UserError(problem.format(path=folder / "config.json", value=value), again(folder))
    named = config.get("architectures")
    if not isinstance(named, str | None) and not _are_names(named):
        raise wrong_value(folder, "architectures", named)
    if not is_known(architecture_of(config)):
        if name := names_code(folder):
            raise wants_code(folder, name)
        raise UserError(
            _(
                "The base model in {folder} is of the architecture '{name}', which mlx-lm {version} lacks"
            ).format(folder=folder, name=one_line(config["model_type"], 40), version=version("mlx-lm")),
            _("use a base model of another architecture, such as mistral, llama or qwen3"),
        )


def _are_names(values: object) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def _require_kinds(folder: Path, config: dict[str, Any]) -> None:
    """Refuse values with which the architecture cannot compute, and quantisations that are none."""
    for name, value in misfits(config):
        raise wrong_value(folder, name, value)
    for name in ("quantization", "quantization_config"):
        if not isinstance(config.get(name), dict | None):
            raise wrong_value(folder, name, config[name])
    for name in ("group_size", "bits"):
        value = (config.get("quantization") or {}).get(name, 1)  # loading says what is missing
        if type(value) is not int or value < 1:
            raise wrong_value(folder, f"quantization.{name}", value)


def _require_known_form(folder: Path, config: dict[str, Any]) -> None:
    """Refuse weights that were quantised in a form that mlx-lm does not read."""
    other = config.get("quantization_config")
    method = other.get("quant_method") if isinstance(other, dict) else None
    if method and not config.get("quantization") and method not in _QUANTISED:
        raise UserError(
            _("The weights in {folder} are quantised by '{method}', which mlx-lm does not read").format(
                folder=folder, method=one_line(str(method), 40)
            ),
            _("use the model's form for mlx-lm, or quantise the original: mqlora-tui convert FOLDER"),
        )


def _require_sizes(folder: Path, config: dict[str, Any], tensors: int) -> None:
    """Refuse sizes that are none, and more layers than there are tensors: mlx-lm would build them all."""
    nested = config.get("text_config")
    if not isinstance(nested, dict | None):
        raise wrong_value(folder, "text_config", nested)
    for name, number in _numbers(config):
        if abs(number) > (_MOST_PARTS if _PARTS.search(name) else _LARGEST):
            raise wrong_value(folder, name, number)
    for settings in (config, nested or {}):
        for name in _SIZES:
            value = settings.get(name)
            most = tensors if name in _LAYER_COUNTS else _LARGEST
            if value is not None and not (isinstance(value, int) and 1 <= value <= most):
                raise wrong_value(folder, name, value)


def _numbers(config: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield every whole number in a configuration, however deep, with the name of its field."""
    rest: list[tuple[str, Any]] = [("", config)]
    while rest:
        name, value = rest.pop()
        if isinstance(value, dict):
            rest += value.items()
        elif isinstance(value, list):
            rest += [(name, item) for item in value]
        elif type(value) is int:
            yield name, value


def wrong_value(folder: Path, name: str, value: object) -> UserError:
    """Return the refusal of a model folder whose `config.json` has a value that cannot be used."""
    shown = one_line(json.dumps(value, ensure_ascii=False), 40)
    return UserError(
        _("The base model's {path} is broken: {name} is {value}").format(
            path=folder / "config.json", name=one_line(name, 60), value=shown
        ),
        again(folder),
    )


def _without_tokenizer(folder: Path) -> UserError:
    other = next((name for name in _OTHER_TOKENIZERS if (folder / name).exists()), "")
    if other:
        return UserError(
            _("The tokenizer in {folder} is only there as {name}, which cannot be used").format(
                folder=folder, name=other
            ),
            _("add the model's tokenizer.json, which its form for transformers or mlx-lm has"),
        )
    return UserError(_("The base model lacks {path}").format(path=folder / "tokenizer.json"), again(folder))
