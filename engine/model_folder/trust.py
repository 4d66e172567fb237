"""What of a model folder may be loaded: data, never code."""

import json
from pathlib import Path
from typing import Any

from engine.errors import UserError
from engine.files import read_given
from engine.i18n import _

_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.npz", "*.npy")
"""Weights that programs unpickle, which runs whatever stands in them."""


def refuse_code(folder: Path) -> None:
    """Refuse a model folder that can only be used by running what it brings along.

    `auto_map` alone is no reason: many folders carry it for other programs, while
    mlx-lm has the architecture built in and `tokenizer.json` is the tokenizer.
    Nothing is loaded with leave to run code either way.

    Raises:
        UserError: its architecture or its tokenizer is a Python file, or its weights are pickled.
    """
    if _settings(folder / "config.json").get("model_file"):  # mlx-lm imports the file of that name
        raise wants_code(folder, "config.json")
    if _maps_tokenizer(folder) and not (folder / "tokenizer.json").is_file():
        raise wants_code(folder, "tokenizer_config.json")
    pickled = sorted(path.name for pattern in _PICKLED for path in folder.glob(pattern))
    if pickled and not any(folder.glob("model*.safetensors")):
        raise UserError(
            _("The weights in {folder} are in a form that can run code ({name})").format(
                folder=folder, name=pickled[0]
            ),
            _("use a model whose weights are .safetensors files"),
        )


def names_code(folder: Path) -> str:
    """Return the first file of a model folder that names code of its own, empty if none does."""
    for name in ("config.json", "tokenizer_config.json"):
        if _settings(folder / name).get("auto_map"):
            return name
    return ""


def wants_code(folder: Path, name: str) -> UserError:
    """Return the refusal of a model folder whose file `name` asks for code to be run."""
    return UserError(
        _("The base model in {folder} wants to run code of its own ({name})").format(
            folder=folder, name=name
        ),
        _("use a model whose architecture mlx-lm has built in, with a tokenizer.json"),
    )


def _maps_tokenizer(folder: Path) -> bool:
    mapped = _settings(folder / "tokenizer_config.json").get("auto_map")
    return bool(mapped.get("AutoTokenizer") if isinstance(mapped, dict) else mapped)


def _settings(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file; an empty one if it cannot be read: loading says what is wrong."""
    try:
        values = json.loads(read_given(path))
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}
