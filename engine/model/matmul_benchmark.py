"""How long the products with each kind of frozen matrix take here: measured once, then remembered."""

import platform
import time
from collections.abc import Mapping
from importlib.metadata import version

from engine.backend import describe_device, is_cpu, is_cuda, mx, nn
from engine.model.frozen_linear import FrozenLinear, matrix_shape, written_dtype
from engine.model.matmul_timings import (
    MATMUL_MODES,
    MatmulMode,
    Seconds,
    read_calibrations,
    write_calibrations,
)

_ROWS = {"cpu": 64, "gpu": 4096}
"""Most rows that are tried: beyond, the ranking of the modes no longer changes."""
_CUDA_PACKED_ROWS = 256
"""Most rows for which CUDA's packed products are tried. MLX compiles them at first use, for tens of
seconds; with 512 rows they reached less than a quarter of a plain product's speed (H100)."""
_OUTPUTS = 1024
"""Outputs of a matrix that are tried: its time is theirs, times how many there are."""
_REPETITIONS = 3
_SLOW_S = 0.3
"""A mode that takes longer is timed once."""


def calibrate(layers: Mapping[str, nn.Module], rows: int, dtype: mx.Dtype) -> dict[str, Seconds]:
    """Return the seconds of each mode for one layer of each kind, measured now or on an earlier day.

    Results are kept in the user's cache folder, by device, dtype, versions, kind and rows.

    Args:
        layers: a quantised layer of each kind, by `matrix_key`.
        rows: tokens of a full micro-batch.
        dtype: of the products.
    """
    rows = 1 << max(0, min(rows, _ROWS["cpu" if is_cpu() else "gpu"]).bit_length() - 1)
    versions = f"mlx {mx.__version__}, mqlora-tui {version('mqlora-tui')}"
    place = f"{platform.node()}, {describe_device()}, {versions}"
    known = read_calibrations()
    found: dict[str, Seconds] = {}
    for key, layer in layers.items():
        name = f"{place}: {key}, {rows} rows"
        if name not in known:
            known[name] = {mode: product_seconds(layer, mode, rows, dtype) for mode in _tried(rows)}
            mx.clear_cache()
            write_calibrations(known)
        found[key] = known[name]
    return found


def _tried(rows: int) -> tuple[MatmulMode, ...]:
    return tuple(
        mode for mode in MATMUL_MODES if mode != "packed" or not is_cuda() or rows <= _CUDA_PACKED_ROWS
    )


def product_seconds(layer: nn.Module, mode: MatmulMode, rows: int, dtype: mx.Dtype) -> float:
    """Return the best time of a few for y = x Wᵀ and dx = y W.

    Args:
        layer: quantised; its W.
        mode: how to multiply.
        rows: of x.
        dtype: of the products.
    """
    frozen = FrozenLinear(_Piece(layer), mode, dtype)
    x = mx.random.normal((rows, frozen.inputs), key=mx.random.key(0)).astype(written_dtype(layer, dtype))
    mx.eval(x)
    best = float("inf")
    for repetition in range(_REPETITIONS + 1):
        begin = time.perf_counter()
        mx.eval(frozen.backward(frozen.forward(x)))
        seconds = time.perf_counter() - begin
        if repetition or seconds > _SLOW_S:  # the first one also compiles
            best = min(best, seconds)
        if seconds > _SLOW_S:
            break
    return best * matrix_shape(layer)[0] / frozen.outputs


class _Piece(dict[str, mx.array]):
    """The first outputs of a quantised layer, as `FrozenLinear` takes layers."""

    def __init__(self, layer: nn.Module) -> None:
        names = (name for name in ("weight", "scales", "biases") if layer.get(name) is not None)
        super().__init__({name: layer[name][:_OUTPUTS] for name in names})
        self.weight = self["weight"]
        self.group_size, self.bits, self.mode = layer.group_size, layer.bits, layer.mode
