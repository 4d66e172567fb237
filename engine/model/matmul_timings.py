"""The modes to multiply by a frozen matrix, and what they were measured to take on this machine."""

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal, get_args

from engine.files import write_json

import platformdirs

MatmulMode = Literal["packed", "transient", "resident"]
"""See `engine.model.frozen_linear`."""
MATMUL_MODES: tuple[MatmulMode, ...] = get_args(MatmulMode)

Seconds = dict[MatmulMode, float]
"""Of one product forward and one backward, by mode; one that was not tried is missing."""


def read_calibrations() -> dict[str, Seconds]:
    """Return what was measured before, oldest first; nothing where the file is missing or not ours."""
    try:
        known = json.loads(calibration_file().read_text(encoding="utf-8"))
        found: dict[str, Seconds] = {
            str(name): {mode: float(times[mode]) for mode in MATMUL_MODES if mode in times}
            for name, times in known.items()
        }
    except (OSError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError):
        return {}
    return {name: times for name, times in found.items() if _is_usable(times)}


def _is_usable(times: Seconds) -> bool:
    """Whether residence was compared with another mode, in seconds that can be."""
    return "resident" in times and len(times) > 1 and all(0 < value < math.inf for value in times.values())


def write_calibrations(known: Mapping[str, Seconds]) -> None:
    """Keep what was measured, in the user's cache folder; if that fails it is measured again next time."""
    with suppress(OSError):
        calibration_file().parent.mkdir(parents=True, exist_ok=True)
        write_json(calibration_file(), dict(known))


def calibration_file() -> Path:
    """Return where measurements are kept."""
    return Path(platformdirs.user_cache_dir("mqlora-tui")) / "calibration.json"
