"""Base and adapter as one model folder for MLX, in 16 bits or quantised anew."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.backend import mx, nn
from engine.export.merge import SMALLEST
from engine.export.score import folder_bytes
from engine.files import write_json
from engine.model.adapter_file import AdapterFile
from engine.model.loading import open_model
from engine.model.mlx_lm_adapter import LENGTHS
from engine.model.safetensors_file import write_arrays
from engine.model_folder.dimensions import ModelDimensions
from engine.model_folder.settings import read_settings

from mlx.utils import tree_flatten, tree_map, tree_unflatten
from mlx_lm.utils import make_shards, save_config

_GROUP_SIZE = 64
"""Weights that share a scale where the base model says nothing."""
_SHARD_GB = 1
"""Size of a file of weights at most, so that what is written can be told, and ended, every few seconds."""
OnFile = Callable[[int, int], None]
"""Called with how many files are done, and how many there are."""
_COPIED = ("*.json", "*.jinja", "*.model", "*.txt", "additional_chat_templates/*.jinja")
"""Files of the tokenizer and of generation."""
_OWN = ("config.json", "model.safetensors.index.json", "source.json")


def mlx_bytes(base: Path, bits: int) -> int:
    """Return about how many bytes the folder will have."""
    sizes = ModelDimensions.read(base)
    if sizes is None:
        return folder_bytes(base) * (1 if bits < 16 else 4)
    return int(sizes.parameters * (bits + (32 / sizes.group_size if bits < 16 else 0)) / 8)


def write_mlx(base: Path, adapter: AdapterFile, bits: int, folder: Path, on_file: OnFile) -> None:
    """Write the fused model into an empty folder.

    W + scale (A B)ᵀ, of DoRA with its rows at their lengths, is summed in float32 and kept in the model's
    16-bit type, or quantised with the base model's groups. A matrix without an adapter that is quantised
    already stays as it is, unless all are written out in 16 bits.

    Args:
        base: folder of the base model.
        adapter: to add.
        bits: 4, 6, 8, or 16.
        folder: to fill.
        on_file: called before each file of weights.

    Raises:
        OSError: it cannot be written.
    """
    model, config = open_model(base), read_settings(base / "config.json")
    group_size = int((config.get("quantization") or {}).get("group_size", _GROUP_SIZE))
    quantized: dict[str, Any] = {}
    replaced = []
    for path, module in model.named_modules():
        if not isinstance(module, (nn.Linear, nn.QuantizedLinear, nn.Embedding, nn.QuantizedEmbedding)):
            continue
        new = _written(module, path, adapter, bits, group_size)
        if isinstance(new, (nn.QuantizedLinear, nn.QuantizedEmbedding)):
            quantized[path] = {"group_size": new.group_size, "bits": new.bits, "mode": new.mode}
        replaced.append((path, new))
    model.update_modules(tree_unflatten(replaced))
    del replaced
    _save(folder, model, on_file)
    usual = {"group_size": group_size, "bits": bits, "mode": "affine"}
    for name in ("quantization", "quantization_config"):
        config.pop(name, None)
        if quantized:
            config[name] = usual | {path: own for path, own in quantized.items() if own != usual}
    save_config(config, folder / "config.json")
    _copy_rest(base, folder)


def _save(folder: Path, model: nn.Module, on_file: OnFile) -> None:
    """Write a model's weights and their index as `save_model` of mlx-lm does, each shard let go in turn.

    That one cannot tell a full disk from another fault.

    Raises:
        OSError: the disk is full or a file cannot be written.
    """
    weights = dict(tree_flatten(model.parameters()))
    total, shards = sum(array.nbytes for array in weights.values()), make_shards(weights, _SHARD_GB)
    model.update(tree_map(lambda _array: mx.array([]), model.parameters()))
    weights.clear()
    names, count = dict[str, str](), len(shards)
    for number in range(1, count + 1):
        name = f"model-{number:05d}-of-{count:05d}.safetensors" if count > 1 else "model.safetensors"
        on_file(number - 1, count)
        shard = shards.pop(0)
        names |= dict.fromkeys(shard, name)
        write_arrays(folder / name, shard)
        del shard
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(names.items()))}
    write_json(folder / "model.safetensors.index.json", index)


def _written(module: nn.Module, path: str, adapter: AdapterFile, bits: int, group_size: int) -> nn.Module:
    """Return the layer as it is written, with numbers that are computed once they are saved."""
    is_packed = isinstance(module, (nn.QuantizedLinear, nn.QuantizedEmbedding))
    a, b = (adapter.weights.get(f"{path}.{name}") for name in ("lora_a", "lora_b"))
    if a is None and is_packed and bits < 16:
        return module
    rows, dtype = _rows(module)
    if a is not None and b is not None:
        rows = rows + adapter.scale * (a.astype(mx.float32) @ b.astype(mx.float32)).T
    if (lengths := adapter.weights.get(f"{path}{LENGTHS}")) is not None:
        norms = mx.maximum(mx.linalg.norm(rows, axis=1), SMALLEST)  # (outputs,)
        rows = rows * (lengths.astype(mx.float32) / norms)[:, None]
    is_embedding = isinstance(module, (nn.Embedding, nn.QuantizedEmbedding))
    plain: nn.Module = nn.Embedding(1, 1) if is_embedding else nn.Linear(1, 1, bias="bias" in module)
    plain.weight = rows.astype(dtype)
    if "bias" in module:
        plain.bias = module.bias
    if bits == 16 or rows.shape[-1] % group_size:
        return plain
    return plain.to_quantized(group_size, bits)


def _rows(module: nn.Module) -> tuple[mx.array, mx.Dtype]:
    """Return a matrix (outputs, inputs) in float32, and the 16-bit type that it is written in."""
    if not isinstance(module, (nn.QuantizedLinear, nn.QuantizedEmbedding)):
        dtype = module.weight.dtype
        return module.weight.astype(mx.float32), mx.bfloat16 if dtype == mx.float32 else dtype
    biases = module.get("biases")
    if module.mode != "affine":
        rows = mx.dequantize(
            module.weight, module.scales, biases, module.group_size, module.bits, module.mode
        )
        return rows.astype(mx.float32), mx.bfloat16
    scales, dtype = module.scales.astype(mx.float32), module.scales.dtype
    rows = mx.dequantize(module.weight, scales, biases.astype(mx.float32), module.group_size, module.bits)
    return rows, mx.bfloat16 if dtype == mx.float32 else dtype


def _copy_rest(base: Path, folder: Path) -> None:
    for pattern in _COPIED:
        for path in sorted(base.glob(pattern)):
            target = folder / path.relative_to(base)
            if path.is_file() and path.name not in _OWN and not target.exists():
                target.parent.mkdir(exist_ok=True)
                shutil.copyfile(path, target)
