"""What C++ libraries write on the error stream goes to a file: it neither spoils the screen nor is lost."""

import contextlib
import faulthandler
import os
import signal
import sys
import threading

NATIVE_LOG = "MQLORA_NATIVE_LOG"
"""Environment variable: descriptor of the file that the supervisor reads after a crash."""
ALIVE = "MQLORA_GUARD_ALIVE"
"""Environment variable: descriptor of a pipe that ends when the supervisor does."""


def keep_native_messages() -> None:
    """Point descriptor 2 at the supervisor's file; Python itself goes on writing to the real one.

    A crash writes there the Python stack of the thread that crashed, SIGUSR1 those of all threads.
    Without a supervisor nothing changes.
    """
    log = _descriptor(NATIVE_LOG)
    if log is None:
        return
    terminal = os.dup(2)
    os.dup2(log, 2)
    os.close(log)
    stream = open(terminal, "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace")  # noqa: SIM115
    sys.stderr = sys.__stderr__ = stream  # type: ignore[misc]
    faulthandler.enable(2, all_threads=False)  # others go on while they are read: that may crash in its turn
    faulthandler.register(signal.SIGUSR1, 2)
    alive = _descriptor(ALIVE)
    if alive is not None:
        threading.Thread(target=_outlive_nobody, args=(alive,), daemon=True, name="supervisor-alive").start()


def _descriptor(name: str) -> int | None:
    """Return the inherited descriptor that an environment variable names; children do not get it."""
    text = os.environ.pop(name, "")
    if not text.isdigit():
        return None
    with contextlib.suppress(OSError):
        os.set_inheritable(int(text), False)
        return int(text)
    return None


def _outlive_nobody(alive: int) -> None:
    """When the supervisor has been killed, nobody would put the terminal right: leave as if it were lost."""
    os.read(alive, 1)
    os.kill(os.getpid(), signal.SIGHUP)
