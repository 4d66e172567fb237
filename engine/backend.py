"""Readies MLX on this machine: import `mx` and `nn` from here, never from MLX directly.

The first import of this module loads a fast BLAS (engine/blas.py), then MLX, whose
cache of compiled functions is mended before (engine/compile_cache.py).
"""

import time

from engine.blas import load_blas
from engine.compile_cache import mend_compile_cache

BLAS = load_blas()
mend_compile_cache()

import mlx.core as mx  # after the BLAS, see engine/blas.py
import mlx.nn as nn

__all__ = ["BLAS", "compute_dtype", "describe_device", "is_cpu", "measure_gflops", "mx", "nn"]


def is_cpu() -> bool:
    """Whether MLX computes on the CPU here."""
    return bool(mx.default_device().type == mx.DeviceType.cpu)


def compute_dtype() -> mx.Dtype:
    """Dtype of activations and products: float32 on a CPU, bfloat16 on a GPU.

    On Linux CPUs 16-bit products run at 5-7 GFLOP/s against more than 100 in
    float32 (see `measure_gflops`).
    """
    return mx.float32 if is_cpu() else mx.bfloat16


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
