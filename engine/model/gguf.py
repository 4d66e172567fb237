"""Import of a GGUF file (llama.cpp's format) as a model folder for mlx-lm.

Weights keep the exact values of the file: Q4_0 and Q4_1 blocks become MLX's
4-bit groups of 32, Q8_0 blocks its 8-bit groups; nothing is quantised anew. An
embedding or output head in Q6_K, which MLX cannot represent, becomes float16.
"""

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from engine.backend import mx
from engine.errors import UserError
from engine.files import sync, write_json
from engine.i18n import _
from engine.model.gguf_config import BITS, GROUP_SIZE, check_tensors, llama_config
from engine.model.gguf_header import GgufHeader
from engine.model.gguf_reader import read_header
from engine.model.gguf_tokenizer import build_tokenizer
from engine.model_folder.new_folder import new_model_folder

OnConversion = Callable[[str], None]
"""Called with one translated sentence whenever a new stage begins."""

_NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_ROPE_FACTORS = "rope_freqs.weight"


def import_gguf(source: Path, target: Path, progress: OnConversion = lambda stage: None) -> None:
    """Write the model of the GGUF file `source` into the new folder `target`.

    Raises:
        UserError: `target` exists, or `source` cannot be imported. Nothing is left behind.
    """
    with new_model_folder(target) as folder:
        convert_gguf(source, folder, progress)


def convert_gguf(source: Path, folder: Path, progress: OnConversion) -> None:
    """Write weights, configuration and tokenizer of the GGUF file `source` into `folder`.

    Raises:
        UserError: `source` cannot be imported, or the disk is too small.
    """
    progress(_("Reading {name}").format(name=source.name))
    header = read_header(source)
    config = llama_config(header)
    check_tensors(header, config)
    tokenizer = build_tokenizer(header)
    _check_space(folder, source.stat().st_size)
    progress(_("Converting the weights"))
    arrays = _load(header)
    if _ROPE_FACTORS in arrays:
        config["rope_scaling"] = _rope_factors(arrays.pop(_ROPE_FACTORS), config)
    weights = dict(_renamed(name, array, config) for name, array in arrays.items())
    mx.save_safetensors(str(folder / "model.safetensors"), weights, metadata={"format": "mlx"})
    sync(folder / "model.safetensors")
    tokenizer.save(folder)
    write_json(folder / "config.json", config | tokenizer.token_ids | _quantization(header))


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            _("{needed:.1f} GB are needed in {path} and {free:.1f} GB are free").format(
                needed=needed / 1e9, path=folder.parent.parent, free=free / 1e9
            ),
            _("free some space"),
        )


def _load(header: GgufHeader) -> dict[str, mx.array]:
    """Return the file's tensors; a packed one as three arrays: weight, scales and biases."""
    try:
        return cast(dict[str, mx.array], mx.load(str(header.path), format="gguf"))
    except (RuntimeError, ValueError) as error:
        header.refuse(str(error))


def _renamed(name: str, array: mx.array, config: dict[str, Any]) -> tuple[str, mx.array]:
    """Return mlx-lm's name of a GGUF tensor, and its values in mlx-lm's order and float type."""
    stem, _dot, part = name.rpartition(".")
    if stem.endswith(("attn_q", "attn_k")):
        heads = config["num_attention_heads" if stem.endswith("q") else "num_key_value_heads"]
        array = _halves_apart(array, heads)
    if array.dtype == mx.float32:
        array = array.astype(mx.float16)
    return f"{_module(stem)}.{part}", array


def _module(stem: str) -> str:
    """Return mlx-lm's name of the GGUF tensor `stem`, such as "blk.0.attn_q" or "output"."""
    if not stem.startswith("blk."):
        return _NAMES[stem]
    _block, layer, stem = stem.split(".")
    return f"model.layers.{layer}.{_NAMES[stem]}"


def _halves_apart(rows: mx.array, heads: int) -> mx.array:
    """Undo llama.cpp's order of the rows of one head, for `rows` of shape (heads * size, columns).

    Rotary positions turn pairs of rows. llama.cpp keeps the two of a pair side
    by side, mlx-lm half a head apart. Packed weights, scales and biases move
    alike, since groups run along the columns.
    """
    pairs = rows.reshape(heads, -1, 2, rows.shape[-1])
    return pairs.swapaxes(1, 2).reshape(rows.shape)


def _rope_factors(factors: mx.array, config: dict[str, Any]) -> dict[str, Any]:
    """Return the file's own divisor for each rotary frequency in a form that mlx-lm reads.

    "longrope" multiplies each wave length by a listed factor. With the original
    length equal to the present one it changes nothing else.
    """
    values = factors.tolist()
    return {
        "rope_type": "longrope",
        "short_factor": values,
        "long_factor": values,
        "original_max_position_embeddings": config["max_position_embeddings"],
    }


def _quantization(header: GgufHeader) -> dict[str, Any]:
    """Return the `quantization` entry: the most common width, and each layer that differs."""
    bits = {
        _module(name.removesuffix(".weight")): BITS[tensor.kind]
        for name, tensor in header.tensors.items()
        if tensor.kind in BITS
    }
    if not bits:
        return {}
    usual = Counter(bits.values()).most_common(1)[0][0]
    others = {
        module: {"group_size": GROUP_SIZE, "bits": width} for module, width in bits.items() if width != usual
    }
    return {"quantization": {"group_size": GROUP_SIZE, "bits": usual} | others}
