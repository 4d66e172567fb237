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
BEATS = "MQLORA_GUARD_BEATS"
"""Environment variable: descriptor of a pipe to the supervisor for `beat`."""
OVER = b"e"
"""What is written last: silence means nothing from here on."""
_beats: int | None = None
_in_turn = threading.Lock()


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
    global _beats
    _beats = _descriptor(BEATS)
    alive = _descriptor(ALIVE)
    if alive is not None:
        threading.Thread(target=_outlive_nobody, args=(alive,), daemon=True, name="supervisor-alive").start()


def beat(is_over: bool = False) -> None:
    """Tell the supervisor that Python runs in this process; from the first time on it expects that.

    A library that waits for ever, for a card whose partner is gone, may hold the interpreter's lock:
    then no thread of this process can end it.

    Args:
        is_over: whether this is the last time; later ones do nothing.
    """
    global _beats
    with _in_turn:
        if _beats is not None:
            with contextlib.suppress(OSError):  # the supervisor is gone, or has not read for long
                os.write(_beats, OVER if is_over else b".")
        if is_over:
            _beats = None


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
