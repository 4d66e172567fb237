"""Loading a base model folder and readying its frozen weights for training on this machine."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.backend import compute_dtype, is_cpu, mx, nn
from engine.errors import UserError
from engine.i18n import _
from engine.text import one_line

from mlx_lm.tokenizer_utils import load as load_wrapped_tokenizer
from mlx_lm.utils import dequantize_model, load_model


@dataclass(frozen=True)
class BaseModel:
    """A frozen base model with its tokenizer."""

    model: nn.Module
    tokenizer: Any
    """mlx-lm's TokenizerWrapper, for generation."""
    folder: Path


def load_base(folder: Path) -> BaseModel:
    """Load a model folder as mlx-lm writes it; no code in it is ever executed.

    On a CPU the packed weights become float32 once: products of 4-bit and
    16-bit weights run there at a few GFLOP/s. On a GPU they stay packed.

    Raises:
        UserError: a file is missing or damaged, or the architecture is unknown.
    """
    _refuse_code(folder)
    try:
        model, config = load_model(folder, lazy=True, trust_remote_code=False)
        if is_cpu():
            model.set_dtype(compute_dtype())
            model = dequantize_model(model)
        mx.eval(model.parameters())
        tokenizer = load_wrapped_tokenizer(folder, eos_token_ids=config.get("eos_token_id"))
    except UserError:
        raise
    except Exception as error:  # mlx, mlx-lm and transformers raise many types for a damaged folder
        reason = one_line(str(error), 200) or type(error).__name__
        raise UserError(
            _("Cannot load the base model in {folder}: {reason}").format(folder=folder, reason=reason),
            _("copy the whole mlx-lm model folder again (config.json, model.safetensors, tokenizer.json)"),
        ) from None
    model.freeze()
    return BaseModel(model, tokenizer, folder)


def _refuse_code(folder: Path) -> None:
    """Raise UserError if the folder asks for code of its own to be run."""
    for name in ("config.json", "tokenizer_config.json"):
        try:
            settings = json.loads((folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue  # load_model says what is wrong with it
        if isinstance(settings, dict) and (settings.get("auto_map") or settings.get("model_file")):
            raise UserError(
                _("The base model in {folder} wants to run code of its own ({name})").format(
                    folder=folder, name=name
                ),
                _("use a model whose architecture mlx-lm has built in"),
            )
