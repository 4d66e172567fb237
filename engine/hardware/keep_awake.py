"""Keeping the machine awake while it trains."""

import os
import platform
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Launch = Callable[[list[str]], "subprocess.Popen[bytes]"]
"""Starts a program that runs beside this one; raises OSError if it cannot."""

PATIENCE_S = 2.0
"""Seconds that the helper may take to end when asked to, before it is killed."""


def start_detached(arguments: list[str]) -> "subprocess.Popen[bytes]":
    """Start a silent child in its own session, where Ctrl+C and a hang-up of our terminal do not reach it."""
    return subprocess.Popen(
        arguments,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


@contextmanager
def keep_awake(system: str = platform.system(), launch: Launch = start_detached) -> Iterator[None]:
    """Keep the machine from going to sleep inside the block; its display may.

    On macOS `caffeinate` asks for that: `-i` against idle sleep, on mains and on battery; `-s`
    against any sleep, which macOS grants on mains only; `-w` ends it with this process, however
    that dies. Never `-d`: a display that stays on is what makes the Metal watchdog end training.
    On battery nothing outweighs a closed lid (manual page caffeinate(8); setClamshellSleepState
    in Apple's published powerd).

    Linux is left alone: servers do not sleep by themselves, and logind's default policy refuses
    `systemd-inhibit --what=sleep` to remote sessions (`inhibit-block-sleep`, allow_any: no).

    Training goes on where the helper is missing or does not start.

    Args:
        system: name of the operating system, as `platform.system()` tells it.
        launch: starts the helper.
    """
    helper = _start(launch) if system == "Darwin" else None
    try:
        yield
    finally:
        if helper:
            _end(helper)


def _start(launch: Launch) -> "subprocess.Popen[bytes] | None":
    try:
        return launch(["caffeinate", "-is", "-w", str(os.getpid())])
    except (OSError, subprocess.SubprocessError):
        return None


def _end(helper: "subprocess.Popen[bytes]") -> None:
    """End the helper and collect its exit status, so that no zombie stays behind."""
    helper.terminate()
    try:
        helper.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        helper.kill()
        helper.wait()
