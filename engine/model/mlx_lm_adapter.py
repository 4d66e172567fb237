"""mlx-lm's form of a LoRA or DoRA adapter: what its configuration says, and the names of its matrices."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

from engine.backend import mx
from engine.errors import UserError
from engine.i18n import _
from engine.sanitize import one_line
from engine.values import refusal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

WEIGHTS = "adapters.safetensors"
CONFIG = "adapter_config.json"
TEMPLATE_SETTINGS = "chat_template_kwargs"
"""Field of `CONFIG`; the name is that of transformers and of servers."""
BASE_MODEL = "base_model"
"""Field of `CONFIG` with the name of the base model's folder."""
BASE_PRINT = "base_model_fingerprint"
"""Field of `CONFIG`, see `engine.fingerprint.model_fingerprint`."""
LENGTHS = ".m"
"""End of the name of DoRA's lengths."""
ADAPTER_PARTS = (".lora_a", ".lora_b", LENGTHS)
"""Ends of the names of an adapter's arrays."""
_MATRIX = re.compile(r"(?P<path>.+)\.(?P<which>lora_a|lora_b|m)")
_PARTS: dict[str, tuple[str, ...]] = {"lora": ("lora_a", "lora_b"), "dora": ("lora_a", "lora_b", "m")}
"""What each adapted layer has, by `fine_tune_type`."""
_IN_LAYER = re.compile(r"(?:.*?\.)??(?P<layer>\d{1,6})\.(?P<key>.+)")
"""A path such as `model.layers.3.self_attn.q_proj`."""

_RANK_AXIS = {("lora_a", 2): 1, ("lora_b", 2): 0, ("lora_a", 3): 1, ("lora_b", 3): 2}
"""Which axis of a matrix has the rank; with three, the first one counts experts."""


class MlxLmSizes(BaseModel):
    """The numbers of mlx-lm's configuration."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    num_layers: Annotated[int, Field(ge=-1, le=10**6)]
    rank: Annotated[int, Field(ge=1, le=2**16)]
    scale: Annotated[float, Field(ge=-1e6, le=1e6)]
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0


def mlx_lm_config(config: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return what a configuration says of its adapter, each field being there.

    Args:
        config: the content of `adapter_config.json`.
        names: of the matrices; they tell the projections where the configuration does not.

    Raises:
        UserError: it is not of LoRA or DoRA, or not of mlx-lm's form, or a number is beyond reason.
    """
    parameters = config.get("lora_parameters")
    kind = config.get("fine_tune_type", "lora")
    if not isinstance(kind, str) or kind not in _PARTS:
        raise UserError(
            _("its fine_tune_type is {kind}, neither lora nor dora").format(kind=one_line(repr(kind), 60)),
            _("train a LoRA or DoRA adapter, or fuse this one with mlx_lm.fuse and use that as the model"),
        )
    if not isinstance(parameters, dict):
        raise UserError(
            _("{file} has neither lora_parameters, as mlx-lm's, nor peft_type, as PEFT's").format(file=CONFIG)
        )
    try:
        sizes = MlxLmSizes.model_validate({"num_layers": config.get("num_layers"), **parameters})
    except ValidationError as error:
        raise refusal(error, MlxLmSizes.model_fields, CONFIG) from None
    keys = parameters.get("keys")
    if keys is not None and not (isinstance(keys, list) and all(isinstance(key, str) for key in keys)):
        raise UserError(_("its keys are no list of names"))
    return {
        "fine_tune_type": kind,
        "num_layers": sizes.num_layers,
        "lora_parameters": lora_parameters(
            sizes.rank, sizes.scale, sizes.dropout, projections(names) if keys is None else keys
        ),
    }


def lora_parameters(rank: int, scale: float, dropout: float, keys: Sequence[str]) -> dict[str, Any]:
    """Return mlx-lm's `lora_parameters`, with alpha = scale x rank beside them where that is a whole number.

    mlx-lm reads `scale`; others, such as Ollama, read `alpha`, and that as a whole number.
    """
    parameters = {"rank": rank, "scale": scale, "dropout": dropout, "keys": list(keys)}
    alpha = scale * rank
    return parameters | {"alpha": round(alpha)} if alpha.is_integer() else parameters


def projections(names: Iterable[str]) -> list[str]:
    """Return the paths, within a layer, of the projections whose matrices have these names."""
    return sorted({_in_layer(match["path"])[1] for name in names if (match := _MATRIX.fullmatch(name))})


def layers_in(names: Iterable[str]) -> list[int]:
    """Return the numbers of the layers whose matrices have these names."""
    found = {_in_layer(match["path"])[0] for name in names if (match := _MATRIX.fullmatch(name))}
    return sorted(number for number in found if number is not None)


def _in_layer(path: str) -> tuple[int | None, str]:
    """Return a projection's layer and its path in that; no layer where it is outside of them."""
    match = _IN_LAYER.fullmatch(path)
    return (int(match["layer"]), match["key"]) if match else (None, path)


def check_matrices(
    weights: Mapping[str, mx.array], rank: int, keys: Sequence[str], kind: str = "lora"
) -> None:
    """Refuse what is no pair of finite matrices of this rank, whatever its size may be.

    Args:
        weights: by name.
        rank: of the adapter.
        keys: paths of its projections within a layer.
        kind: its `fine_tune_type`; DoRA's pairs have a vector of lengths each.

    Raises:
        UserError: which of them that is, and why.
    """
    if not weights:
        raise UserError(_("its file holds no matrix"))
    wanted = set(keys)
    for name, array in weights.items():
        match = _MATRIX.fullmatch(name)
        if not match or match["which"] not in _PARTS[kind]:
            raise UserError(_("{name} is no matrix of a LoRA layer").format(name=one_line(name, 120)))
        if not {match["path"], _in_layer(match["path"])[1]} & wanted:
            raise UserError(_("{name} is not of its keys").format(name=one_line(name, 120)))
        for part in _PARTS[kind]:
            if (other := f"{match['path']}.{part}") not in weights:
                raise UserError(_("{name} is missing").format(name=one_line(other, 120)))
        if match["which"] == "m":
            _check_lengths(name, array, weights[f"{match['path']}.lora_b"])
            continue
        axis = _RANK_AXIS.get((match["which"], array.ndim))
        if axis is None or array.shape[axis] != rank:
            raise UserError(
                _("{name} is {shape}, not of rank {rank}").format(
                    name=one_line(name, 120), shape=" x ".join(map(str, array.shape)), rank=rank
                )
            )
    for name, array in weights.items():
        if not mx.issubdtype(array.dtype, mx.floating) or not mx.isfinite(array).all():
            raise UserError(
                _("{name} holds what is no finite decimal number").format(name=one_line(name, 120))
            )


def _check_lengths(name: str, lengths: mx.array, b: mx.array) -> None:
    """Refuse what is no length for each output of B (rank, outputs)."""
    if b.ndim != 2 or lengths.shape != (b.shape[1],):
        raise UserError(
            _("{name} is {shape}, not one length for each output").format(
                name=one_line(name, 120), shape=" x ".join(map(str, lengths.shape)) or "-"
            )
        )
