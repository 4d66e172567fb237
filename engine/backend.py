"""Readies MLX on this machine: import `mx` and `nn` from here, never from MLX directly.

The first import of this module loads a fast BLAS (engine/blas.py), then MLX, whose
cache of compiled functions is mended before (engine/compile_cache.py).
"""

import os
import time

from engine.blas import load_blas
from engine.compile_cache import mend_compile_cache

BLAS = load_blas()
mend_compile_cache()

import mlx.core as mx  # after the BLAS, see engine/blas.py
import mlx.nn as nn

_FEW_TOKENS = 4096

__all__ = [
    "BLAS",
    "attention_tile",
    "can_compile",
    "compute_dtype",
    "describe_device",
    "is_cpu",
    "measure_gflops",
    "mx",
    "nn",
    "tune_launches",
]


def is_cpu() -> bool:
    """Whether MLX computes on the CPU here."""
    return bool(mx.default_device().type == mx.DeviceType.cpu)


def compute_dtype() -> mx.Dtype:
    """Dtype of activations and products: float32 on a CPU, bfloat16 on a GPU.

    On Linux CPUs 16-bit products run at 5-7 GFLOP/s against more than 100 in
    float32 (see `measure_gflops`).
    """
    return mx.float32 if is_cpu() else mx.bfloat16


def can_compile() -> bool:
    """Whether whole training steps are compiled: on GPUs, where it saves launches and graph building."""
    return not is_cpu()


def attention_tile() -> int:
    """Return the positions that the kernels of attention's backward pass take at a time; 1 where none are.

    On CUDA MLX 0.32.4 has a kernel for multiples of 128, and builds the score matrix
    otherwise; on Metal and CPUs it always does.
    """
    return 1 if is_cpu() or mx.metal.is_available() else 128


def tune_launches(tokens: int) -> None:
    """Set how much work MLX hands to a CUDA card at once; call it before anything is computed.

    With few tokens a pass is bound by launches: larger portions made a step of 2,048 tokens
    13 % and one of 200 tokens 35 % faster (H100, 7B). With many, portions only hold
    memory that could be used again. MLX reads both variables once; what the user set stays.

    Args:
        tokens: of the largest micro-batch.
    """
    if is_cpu() or mx.metal.is_available():
        return
    operations, million_numbers = ("300", "2000") if tokens <= _FEW_TOKENS else ("100", "300")
    wanted = {"MLX_MAX_OPS_PER_BUFFER": operations, "MLX_MAX_MB_PER_BUFFER": million_numbers}
    added = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(added)
    mx.eval(mx.zeros(1) + 1)  # here MLX reads them
    for name in added:  # not for child processes, which may do other work
        del os.environ[name]


def describe_device() -> str:
    """Return device, dtype and BLAS in words, such as "CPU, float32, OpenBLAS"."""
    dtype = str(compute_dtype()).removeprefix("mlx.core.")
    if is_cpu():
        return f"CPU, {dtype}, {BLAS.name}"
    name = mx.device_info().get("device_name", "GPU")
    return f"{name}, {dtype}"


def measure_gflops() -> float:
    """Time float32 products of 512x576 and 576x1536 and return the best of five in GFLOP/s."""
    a, b = mx.random.normal((512, 576)), mx.random.normal((576, 1536))
    mx.eval(a @ b)
    best = float("inf")
    for _attempt in range(5):
        begin = time.perf_counter()
        mx.eval(a @ b)
        best = min(best, time.perf_counter() - begin)
    return 2 * 512 * 576 * 1536 / best / 1e9
