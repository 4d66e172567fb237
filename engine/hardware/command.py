"""Asking the system's own small tools, such as `sysctl`."""

import subprocess
from collections.abc import Callable

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
