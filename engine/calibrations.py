"""The ways to multiply by a frozen matrix, and what they were measured to take on this machine."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal, get_args

from engine.files import write_json

import platformdirs

Way = Literal["packed", "transient", "resident"]
"""See `engine.model.frozen`."""
WAYS: tuple[Way, ...] = get_args(Way)

Seconds = dict[Way, float]
"""Of one product forward and one backward, by way; a way that was not tried is missing."""


def read_calibrations() -> dict[str, Seconds]:
    """Return what was measured before, oldest first; nothing where the file is missing or not ours."""
    try:
        known = json.loads(_file().read_text(encoding="utf-8"))
        return {
            str(name): {way: float(times[way]) for way in WAYS if way in times}
            for name, times in known.items()
            if "resident" in times
        }
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def write_calibrations(known: Mapping[str, Seconds]) -> None:
    """Keep what was measured, in the user's cache folder; if that fails it is measured again next time."""
    with suppress(OSError):
        _file().parent.mkdir(parents=True, exist_ok=True)
        write_json(_file(), dict(known))


def _file() -> Path:
    return Path(platformdirs.user_cache_dir("mqlora-tui")) / "calibration.json"
