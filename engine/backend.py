"""Readies MLX on this machine: import `mx` and `nn` from here, never from MLX directly.

The first import of this module loads a fast BLAS (engine/blas.py), then MLX, whose
cache of compiled functions is repaired before (engine/compile_cache.py).
"""

import math
import os
import resource
import time

from engine.blas import load_blas
from engine.compile_cache import repair_compile_cache

BLAS = load_blas()
repair_compile_cache()

import mlx.core as mx  # after the BLAS, see engine/blas.py
import mlx.nn as nn

_OPEN_FILES = 4096
"""What mlx-lm sets the hard limit of open files to when it is imported."""
_FEW_TOKENS = 4096
"""Of a pass; with fewer or as many the host is the slower side (H100, 7B)."""
_PORTION_OPERATIONS, _PORTION_MB = 100, 300
"""What a card is handed at once: as many operations, or, with more tokens, as many megabytes."""
_PORTION_VARIABLE = "MLX_MAX_MB_PER_BUFFER"
UNLIMITED = 100_000
"""Megabytes that no portion reaches."""
_GRAPHS = 4000
"""CUDA graphs that MLX keeps: more than those of 16 shapes."""
_portion_mb: int | None = None
"""The megabytes of a portion in this process, once they are set."""

__all__ = [
    "BLAS",
    "UNLIMITED",
    "attention_tile",
    "bytes_in_flight",
    "can_compile",
    "compute_dtype",
    "describe_device",
    "exp",
    "is_cpu",
    "is_cuda",
    "measure_gflops",
    "mx",
    "nn",
    "tune_launches",
]


def _import_within_limits() -> None:
    """Import mlx-lm here where it may not have as many open files: it would fail for asking."""
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] >= _OPEN_FILES:
        return
    from engine.transformers_import import AutoTokenizer  # noqa: F401  # before mlx-lm

    set_limit, resource.setrlimit = resource.setrlimit, lambda _which, _limits: None
    try:
        import mlx_lm  # noqa: F401
    finally:
        resource.setrlimit = set_limit


_import_within_limits()


def is_cpu() -> bool:
    """Whether MLX computes on the CPU here."""
    return bool(mx.default_device().type == mx.DeviceType.cpu)


def is_cuda() -> bool:
    """Whether MLX computes on an NVIDIA card."""
    return not is_cpu() and not mx.metal.is_available()


def compute_dtype() -> mx.Dtype:
    """Dtype of activations and products: float32 on a CPU, bfloat16 on a GPU.

    On Linux CPUs 16-bit products run at 5-7 GFLOP/s against more than 100 in
    float32 (see `measure_gflops`).
    """
    return mx.float32 if is_cpu() else mx.bfloat16


def exp(x: mx.array) -> mx.array:
    """Return e^x, on a CPU as 2^(x log2 e): MLX 0.32.4's `exp` takes 16 ns a number there, `power` 7.

    The product is rounded in float32, so that the result is as exact as x is: to |x| 1.4 units in the
    last place. What is far below 1 beside other summands, as in a softmax, does not show that.
    """
    return mx.power(2.0, x * math.log2(math.e)) if is_cpu() else mx.exp(x)


def can_compile() -> bool:
    """Whether whole training steps are compiled: on GPUs, where it saves launches and graph building."""
    return not is_cpu()


def attention_tile() -> int:
    """Return the positions that the kernels of attention's backward pass take at a time; 1 where none are.

    On CUDA MLX 0.32.4 has a kernel for multiples of 128, and builds the score matrix
    otherwise; on Metal and CPUs it always does.
    """
    return 128 if is_cuda() else 1


def tune_launches(tokens: int, is_short_of_memory: bool = False) -> None:
    """Set how much work MLX hands to a CUDA card at once; call it before anything is computed.

    With few tokens a pass is bound by launches: portions of 100 operations, whatever their size, made a
    step of 2,300 tokens 14 % faster than others (H100, 7B). With many, or where memory is short, portions
    only hold memory that could be used again. Portions are kept as CUDA graphs, some 70 for each shape:
    MLX's own limit of 400 is too few for a run's shapes. MLX reads the variables once; what the user set
    stays.

    Args:
        tokens: of the largest micro-batch.
        is_short_of_memory: there is no room for large portions, see `engine.training.execution_plan`.
    """
    global _portion_mb
    if not is_cuda():
        return
    megabytes = UNLIMITED if tokens <= _FEW_TOKENS and not is_short_of_memory else _PORTION_MB
    wanted = {
        "MLX_MAX_OPS_PER_BUFFER": str(_PORTION_OPERATIONS),
        _PORTION_VARIABLE: str(megabytes),
        "MLX_CUDA_GRAPH_CACHE_SIZE": str(_GRAPHS),
    }
    if _portion_mb is None:
        given = os.environ.get(_PORTION_VARIABLE, "")
        _portion_mb = int(given) if given.isdecimal() else megabytes
    added = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(added)
    mx.eval(mx.zeros(1) + 1)  # here MLX reads them
    for name in added:  # not for child processes, which may do other work
        del os.environ[name]


def bytes_in_flight(activations: int, megabytes: int | None = None) -> int:
    """Return the memory that operations hold that a CUDA card was handed and has not done yet.

    MLX frees what an operation read when the portion it is in is done, and hands over up to ten
    portions ahead. How much that is depends on how far ahead it gets: this is about the middle of
    what was measured on an H100.

    Args:
        activations: bytes that all layers keep of the largest micro-batch; what they hold in passing is
            proportional to that.
        megabytes: of a portion; None takes what `tune_launches` has set, or portions without a limit.
    """
    if not is_cuda():
        return 0
    megabytes = megabytes or _portion_mb or UNLIMITED
    return min(int(4.5e6 * megabytes), int(1.5 * activations))


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
