"""Asking the system's own small tools, such as `sysctl`."""

import platform
import subprocess
from collections.abc import Callable
from pathlib import Path

Run = Callable[[list[str]], str]
"""Runs a command and returns what it prints; empty if it cannot be run."""

_TIMEOUT_S = 2.0


def run_command(arguments: list[str]) -> str:
    """Return the standard output of a command; empty if it is missing, fails or takes over 2 s."""
    try:
        done = subprocess.run(
            arguments,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout


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
