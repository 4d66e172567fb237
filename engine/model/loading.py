"""Loading a base model folder and readying its frozen weights for training on this machine."""

import glob
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.backend import compute_dtype, is_cpu, mx, nn
from engine.errors import UserError
from engine.i18n import _
from engine.model.trust import names_code, refuse_code, wants_code
from engine.text import one_line

from mlx.utils import tree_unflatten
from mlx_lm.models.switch_layers import QuantizedSwitchLinear
from mlx_lm.tokenizer_utils import load as load_wrapped_tokenizer
from mlx_lm.utils import dequantize_model, load_config, load_model

# Without it transformers asks on the terminal whether to run a folder's code.
_UNTRUSTED = {"trust_remote_code": False, "local_files_only": True}
_LAYER_COUNTS = ("num_hidden_layers", "num_layers", "n_layers", "n_layer")


@dataclass(frozen=True)
class BaseModel:
    """A frozen base model with its tokenizer."""

    model: nn.Module
    tokenizer: Any
    """mlx-lm's TokenizerWrapper, for generation."""
    folder: Path


def load_base(folder: Path, keep_packed: bool = False) -> BaseModel:
    """Load a model folder as mlx-lm writes it; no code in it is ever executed.

    On a CPU all numbers become float32: products of 4-bit and 16-bit weights run
    there at a few GFLOP/s. On a GPU they stay as they are.

    Args:
        folder: of the base model.
        keep_packed: leave quantised layers packed on a CPU too that `engine.model.fast.make_fast` replaces.

    Raises:
        UserError: a file is missing or damaged, or the architecture is unknown.
    """
    refuse_code(folder)
    try:
        _check_layers(folder)
        with _without_wildcards(folder) as plain:
            model, config = load_model(plain, lazy=True, trust_remote_code=False)
        if is_cpu():
            model.set_dtype(compute_dtype())
            model = _unpack_rest(model) if keep_packed else dequantize_model(model)
        mx.eval(model.parameters())
        tokenizer = load_wrapped_tokenizer(folder, _UNTRUSTED, eos_token_ids=config.get("eos_token_id"))
    except Exception as error:  # mlx, mlx-lm and transformers raise many types for a damaged folder
        if _is_unknown(error) and (name := names_code(folder)):
            raise wants_code(folder, name) from None
        reason = one_line(str(error), 200) or type(error).__name__
        raise UserError(
            _("Cannot load the base model in {folder}: {reason}").format(folder=folder, reason=reason),
            _("copy the whole mlx-lm model folder again (config.json, model.safetensors, tokenizer.json)"),
        ) from None
    model.freeze()
    return BaseModel(model, tokenizer, folder)


def _unpack_rest(model: nn.Module) -> nn.Module:
    """Write out what no layer of ours replaces: experts, and an embedding that is the output head too."""
    kinds = (
        (QuantizedSwitchLinear,)
        if hasattr(model, "lm_head")
        else (QuantizedSwitchLinear, nn.QuantizedEmbedding)
    )
    rest = [(path, module) for path, module in model.named_modules() if isinstance(module, kinds)]
    holder = nn.Module()
    holder.rest = [module for _path, module in rest]
    dequantize_model(holder)
    model.update_modules(
        tree_unflatten([(path, new) for (path, _old), new in zip(rest, holder.rest, strict=True)])
    )
    return model


@contextmanager
def _without_wildcards(folder: Path) -> Iterator[Path]:
    """Yield a path of `folder` whose `[`, `?` or `*` mlx-lm cannot take for a pattern of names."""
    if glob.escape(str(folder)) == str(folder):
        yield folder
        return
    with tempfile.TemporaryDirectory() as temporary:
        link = Path(temporary) / "model"
        link.symlink_to(folder.resolve(), target_is_directory=True)
        yield link


def _is_unknown(error: Exception) -> bool:
    """Whether mlx-lm does not know the architecture, or transformers not the tokenizer, without more code."""
    return "not supported" in str(error) or "trust_remote_code" in str(error)


def _check_layers(folder: Path) -> None:
    """Refuse a number of layers that the weights cannot fill: mlx-lm would build them all first.

    Raises:
        ValueError: there are more layers than tensors.
    """
    tensors = sum(len(mx.load(str(path))) for path in folder.glob("model*.safetensors"))
    config = load_config(folder)
    for settings in (config, config.get("text_config") or {}):
        for key in _LAYER_COUNTS:
            if tensors and settings.get(key, 0) > tensors:
                raise ValueError(
                    _("{key} is {count} and there are {tensors} tensors").format(
                        key=key, count=settings[key], tensors=tensors
                    )
                )
