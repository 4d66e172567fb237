"""How long the products with each kind of frozen matrix take here: measured once, then remembered."""

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from engine.backend import describe_device, is_cpu, mx, nn
from engine.files import write_json
from engine.model.frozen import WAYS, FrozenLinear, Way

import platformdirs

Seconds = dict[Way, float]
"""Of one product forward and one backward, by way."""

_ROWS = {"cpu": 64, "gpu": 4096}
"""Most rows that are tried: beyond, the ranking of the ways no longer changes."""
_REPETITIONS = 3
_SLOW_S = 0.3
"""A way that takes longer is timed once."""


def calibrate(layers: Mapping[str, nn.Module], rows: int, dtype: mx.Dtype) -> dict[str, Seconds]:
    """Return the seconds of each way for one layer of each kind, measured now or on an earlier day.

    Results are kept in the user's cache folder, by device, MLX version, kind, rows and dtype.

    Args:
        layers: a quantised layer of each kind, by `matrix_key`.
        rows: tokens of a full micro-batch.
        dtype: of the products.
    """
    rows = 1 << max(0, min(rows, _ROWS["cpu" if is_cpu() else "gpu"]).bit_length() - 1)
    path = _file()
    known = _read(path)
    found: dict[str, Seconds] = {}
    for key, layer in layers.items():
        name = f"{describe_device()}, mlx {mx.__version__}: {key}, {rows} rows"
        times = known.get(name)
        if not times:
            times = {way: _seconds(FrozenLinear(layer, way, dtype), rows, dtype) for way in WAYS}
            mx.clear_cache()
            known[name] = times
            with suppress(OSError):  # then it is measured again next time
                path.parent.mkdir(parents=True, exist_ok=True)
                write_json(path, known)
        found[key] = times
    return found


def _file() -> Path:
    return Path(platformdirs.user_cache_dir("mqlora-tui")) / "calibration.json"


def _read(path: Path) -> dict[str, Seconds]:
    """Return what was measured before; nothing where the file is missing or not ours."""
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        return {name: {way: float(times[way]) for way in WAYS} for name, times in known.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


def _seconds(layer: FrozenLinear, rows: int, dtype: mx.Dtype) -> float:
    """Return the best time of a few for y = x Wᵀ and dx = y W."""
    x = mx.random.normal((rows, layer.inputs), key=mx.random.key(0)).astype(dtype)
    mx.eval(x)
    best = float("inf")
    for repetition in range(_REPETITIONS + 1):
        begin = time.perf_counter()
        mx.eval(layer.backward(layer.forward(x)))
        seconds = time.perf_counter() - begin
        if repetition or seconds > _SLOW_S:  # the first one also compiles
            best = min(best, seconds)
        if seconds > _SLOW_S:
            break
    return best
