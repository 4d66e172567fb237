"""Which start of the machine this is: the same until it is restarted, whatever the clock says."""

import platform
from pathlib import Path

from engine.hardware.command import Run, run_command

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id(system: str = platform.system(), run: Run = run_command, file: Path = BOOT_ID) -> str:
    """Return an identifier of this start of the machine; empty where none is known.

    Linux draws one at each start (random(4)); macOS has `kern.bootsessionuuid` (sysctl).

    Args:
        system: name of the operating system, as `platform.system()` tells it.
        run: answers `sysctl`.
        file: where Linux tells it.
    """
    if system == "Darwin":
        return run(["sysctl", "-n", "kern.bootsessionuuid"]).strip()
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
