"""Child process that tries MLX and prints the figures as one line of JSON.

    python -m engine.selftest.mlx_child matmul | memory
    python -m engine.selftest.mlx_child modes ROOT CONFIG      (CONFIG: a configuration as JSON)

MLX can end a process, so it is never tried in the command's own.
"""

import json
import sys
from pathlib import Path
from typing import Any

from engine.backend import compute_dtype, describe_device, is_cpu, is_cuda, measure_gflops, mx
from engine.config import TrainingConfig
from engine.dataset.batches.micro_batch import micro_batches
from engine.dataset.inspect.load import load_file
from engine.dataset.inspect.model_tokens import example_tokenizer
from engine.model.frozen_linear import matrix_key
from engine.model.loading import load_base
from engine.model.matmul_benchmark import product_seconds
from engine.model.matmul_timings import MATMUL_MODES
from engine.model.replace_layers import packed_layers
from engine.project import Project
from engine.selftest.process_memory import own_memory
from engine.training.memory_limits import read_budget
from engine.training.scores import evaluate
from engine.training.setup import assemble, largest, shapes_for

import numpy as np

_SIDE = 512
_HELD = 64 * 1024**2
"""Float32 numbers that are held while memory is measured: 256 MiB."""
_ROWS = {"cpu": 64, "gpu": 256}
"""Of the products that are timed; CUDA takes tens of seconds to compile packed ones of more."""


def matmul() -> dict[str, Any]:
    """Multiply two matrices and return the device, its speed and the error against NumPy, by dtype.

    An error is the root of the mean square, as a share of the numbers' own.
    """
    draw = np.random.default_rng(0)
    a, b = (draw.standard_normal((_SIDE, _SIDE), dtype=np.float32) for _matrix in "ab")
    wanted = a.astype(np.float64) @ b.astype(np.float64)
    errors = {}
    for dtype in dict.fromkeys((mx.float32, compute_dtype())):
        product = mx.array(a).astype(dtype) @ mx.array(b).astype(dtype)
        got = np.array(product.astype(mx.float32), dtype=np.float64)
        name = str(dtype).removeprefix("mlx.core.")
        errors[name] = float(np.linalg.norm(got - wanted) / np.linalg.norm(wanted))
    return {"device": describe_device(), "errors": errors, "gflops": measure_gflops()}


def memory() -> dict[str, Any]:
    """Hold a large array and return the bytes more that MLX and the system tell of, and MLX's peak."""
    mx.eval(mx.zeros(1) + 1)
    mx.clear_cache()
    mx.reset_peak_memory()
    active, process = mx.get_active_memory(), own_memory()
    held = mx.arange(_HELD, dtype=mx.float32)
    mx.eval(held)
    mx.clear_cache()
    grown = own_memory()
    return {
        "held": held.nbytes,
        "active": mx.get_active_memory() - active,
        "peak": mx.get_peak_memory(),
        "process": None if process is None or grown is None else grown - process,
        "is_shared": not is_cuda(),
    }


def modes(root: Path, config: TrainingConfig) -> dict[str, Any]:
    """Return seconds of the largest product and the loss of a row, each by matmul mode."""
    project = Project(root)
    folder = project.model_dir(config.model)
    layers = {matrix_key(layer): layer for layer in packed_layers(load_base(folder, keep_packed=True).model)}
    if not layers:
        return {"seconds": {}, "losses": {}}
    layer = max(layers.values(), key=lambda one: one.weight.size)
    rows = _ROWS["cpu" if is_cpu() else "gpu"]
    seconds = {mode: product_seconds(layer, mode, rows, compute_dtype()) for mode in MATMUL_MODES}
    del layers, layer
    losses = {mode: _loss(folder, project, config, mode) for mode in MATMUL_MODES}
    return {"seconds": seconds, "losses": losses, "is_cpu": is_cpu()}


def _loss(folder: Path, project: Project, config: TrainingConfig, mode: str) -> float:
    """Return the loss of a validation row with one mode of all frozen matrices."""
    config = config.updated({"frozen_weights": mode})
    examples = load_file(project.valid_file, example_tokenizer(folder, config), config).examples[:1]
    shapes = shapes_for(examples, examples, config)
    made = assemble(folder, config, largest(shapes, folder, config), read_budget())
    *_before, scored = evaluate(made.model, made.score, micro_batches(examples, shapes))
    return scored.mean


def main() -> None:
    """Try what the command line names and print the figures."""
    what, *rest = sys.argv[1:]
    if what == "modes":
        figures = modes(Path(rest[0]), TrainingConfig.parse(json.loads(rest[1])))
    else:
        figures = {"matmul": matmul, "memory": memory}[what]()
    print(json.dumps(figures), flush=True)
    mx.clear_streams()


if __name__ == "__main__":
    main()
