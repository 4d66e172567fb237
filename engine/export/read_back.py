"""The scores of what an export wrote, from its files: by MLX, by llama.cpp, or through the `gguf` library."""

from collections.abc import Sequence
from pathlib import Path

from engine.backend import compute_dtype, mx, nn
from engine.dataset.batches.tokenize import Example
from engine.errors import UserError
from engine.export.gguf_architecture import Architecture
from engine.export.gguf_tensors import llama_cpp_name
from engine.export.score import OnRows, Scores, log_probabilities
from engine.i18n import _
from engine.model.adapter import load_adapter
from engine.model.adapter_file import AdapterFile
from engine.model.loading import load_base, open_model

import gguf
import numpy as np
from gguf.quants import dequantize
from mlx.utils import tree_flatten
from mlx_lm.utils import dequantize_model
from numpy.typing import NDArray


def score_folder(folder: Path, examples: Sequence[Example], on_rows: OnRows) -> Scores:
    """Score a fused model folder.

    Raises:
        UserError: it cannot be loaded.
    """
    model = load_base(folder).model
    model.eval()
    return log_probabilities(model, examples, on_rows)


def score_adapter(base: Path, folder: Path, examples: Sequence[Example], on_rows: OnRows) -> Scores:
    """Score an adapter's folder on its base model.

    Raises:
        UserError: one of them cannot be loaded.
    """
    model = load_base(base).model
    load_adapter(model, folder)
    model.eval()
    return log_probabilities(model, examples, on_rows)


def score_gguf(
    base: Path, architecture: Architecture, model: Path, adapter: Path | None, examples: Sequence[Example],
    on_rows: OnRows,
) -> Scores:  # fmt: skip
    """Score GGUF files whose numbers the `gguf` library reads, in MLX's model of the same architecture.

    Args:
        base: folder of the base model, for its configuration.
        architecture: of it.
        model: the file with the weights.
        adapter: the file with the adapter, which is added to them; None for a merged model.
        examples: rows.
        on_rows: told of each.

    Raises:
        UserError: a weight is missing in the files.
    """
    target = dequantize_model(open_model(base))
    weights, factors = _tensors(model), _tensors(adapter) if adapter else {}
    scale = np.float32(_scale(adapter) if adapter else 0)
    for name, array in tree_flatten(target.parameters()):
        stem = llama_cpp_name(name, architecture)
        if stem not in weights:
            raise UserError(_("{file} lacks {name}").format(file=model.name, name=stem), _("export it again"))
        rows = _numbers(weights.pop(stem))
        if (a := factors.get(f"{stem}.lora_a")) is not None:
            rows += scale * (_numbers(factors[f"{stem}.lora_b"]) @ _numbers(a))
        rows = _back(architecture, rows, name.rpartition(".")[0])
        target.load_weights(
            [(name, mx.array(rows).reshape(array.shape).astype(compute_dtype()))], strict=False
        )
        mx.eval(target.parameters())
    target.eval()
    return log_probabilities(target, examples, on_rows)


def q4_1_difference(base: Path, architecture: Architecture, model: Path) -> float:
    """Return the largest difference between a base model's quantised weights and those in a GGUF file.

    Both are computed as scale q + bias in float32.
    """
    from engine.export.gguf_tensors import rows_of  # reads packed layers as the writer does

    weights, largest = _tensors(model), 0.0
    for path, module in open_model(base).named_modules():
        if isinstance(module, (nn.QuantizedLinear, nn.QuantizedEmbedding)):
            found = _numbers(weights[llama_cpp_name(f"{path}.weight", architecture)])
            wanted = architecture.permuted(rows_of(module), path)
            largest = max(largest, float(np.abs(found - wanted).max()))
    return largest


def as_trained(
    adapter: AdapterFile, base: Path, examples: Sequence[Example], on_rows: OnRows
) -> tuple[Scores, Scores]:
    """Return the scores of the base model, and of the adapter on it."""
    model = load_base(base).model
    loaded = load_adapter(model, adapter.folder)
    model.eval()
    total = 2 * len(examples)
    loaded.turn(False)
    without = log_probabilities(model, examples, lambda done, count: on_rows(done, total))
    loaded.turn(True)
    return without, log_probabilities(model, examples, lambda done, count: on_rows(count + done, total))


def _tensors(path: Path) -> dict[str, gguf.ReaderTensor]:
    return {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}


def _scale(path: Path) -> float:
    """Return alpha / rank of an adapter's file, as llama.cpp does."""
    reader = gguf.GGUFReader(path)
    alpha = float(reader.fields["adapter.lora.alpha"].contents())
    rank = next(int(t.shape[-1]) for t in reader.tensors if t.name.endswith(".lora_a"))
    return alpha / rank


def _numbers(tensor: gguf.ReaderTensor) -> NDArray[np.float32]:
    """Return a tensor in float32, rows first."""
    shape = tuple(int(size) for size in reversed(tensor.shape.tolist()))
    numbers = dequantize(np.array(tensor.data), tensor.tensor_type)
    return np.asarray(numbers, np.float32).reshape(shape)


def _back(architecture: Architecture, rows: NDArray[np.float32], path: str) -> NDArray[np.float32]:
    """Return the rows of queries and keys in MLX's order again."""
    order = architecture.permuted(np.arange(len(rows)), path)
    back = np.empty_like(rows)
    back[order] = rows
    return back
