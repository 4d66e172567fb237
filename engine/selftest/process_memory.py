"""What the system says that a process holds in memory."""

import os
import platform
import re
from pathlib import Path

from engine.hardware.command import Run, run_command

SMAPS = Path("/proc/self/smaps_rollup")
_UNITS = {"B": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3}


def own_memory(system: str = platform.system(), run: Run = run_command, smaps: Path = SMAPS) -> int | None:
    """Return the bytes that this process holds; None where the system does not tell.

    On macOS that is the physical footprint, which Activity Monitor shows and which counts what the GPU
    is given; `footprint` tells it of one's own processes to any user (footprint(1)). On Linux it is the
    resident memory.

    Args:
        system: name of the operating system, as `platform.system()` tells it.
        run: answers `footprint`.
        smaps: where Linux tells it.
    """
    if system == "Darwin":
        return parse_footprint(run(["footprint", "-f", "bytes", "-p", str(os.getpid())]))
    try:
        return parse_smaps(smaps.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def parse_footprint(text: str) -> int | None:
    """Return the bytes that `footprint` tells of a single process: `phys_footprint: 1884592 B`."""
    found = re.search(r"^\s*phys_footprint:\s*([\d.]+)\s*([KMG]?B)\b", text, re.MULTILINE)
    return round(float(found[1]) * _UNITS[found[2]]) if found else None


def parse_smaps(text: str) -> int | None:
    """Return the bytes of `Rss` in a `smaps_rollup` file (proc(5); its kB are 1024 bytes)."""
    found = re.search(r"^Rss:\s*(\d+) kB$", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else None
