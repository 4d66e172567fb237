"""The file by which one process owns a run's folder: the system drops its lock when the process ends.

Whether a run is alive is asked of this lock and of nothing else: it needs no
clock, does not mistake a reused pid for the owner, and survives no reboot.
"""

import fcntl
import json
import os
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.files import own_descriptor

# A viewer holds a shared lock for an instant while it looks.
_PATIENCE_S = 0.5
_PAUSE_S = 0.02
_INHERITED = "MQLORA_LOCK"
"""Variable with the descriptor that holds the lock of what this program has taken the place of."""


@dataclass(frozen=True)
class Owner:
    """The process that trains in a project."""

    pid: int
    host: str

    @property
    def is_local(self) -> bool:
        """Whether it runs on this machine, where it can be sent a signal."""
        return self.pid > 0 and self.host == socket.gethostname()


def owner_of(lock_file: Path) -> Owner | None:
    """Return who holds `lock_file`; an owner with pid 0 is one that has not yet written its name."""
    try:
        descriptor = own_descriptor(lock_file, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        return _read(descriptor)
    except OSError:  # a file system without locks
        return None
    finally:
        os.close(descriptor)


def take(lock_file: Path) -> int | None:
    """Lock a file in the name of this process; it is made if there is none.

    Returns:
        A descriptor that holds the lock until it is closed; None if another process has it.

    Raises:
        OSError: the file cannot be made, or its folder is gone.
    """
    inherited = _inherited(lock_file)
    if inherited is not None:
        return inherited
    descriptor = own_descriptor(lock_file, os.O_RDWR | os.O_CREAT)
    try:
        is_locked = _locked(descriptor)
        if is_locked and _is_in_place(descriptor, lock_file):
            os.ftruncate(descriptor, 0)
            os.write(descriptor, json.dumps(asdict(Owner(os.getpid(), socket.gethostname()))).encode())
            return descriptor
    except OSError:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return take(lock_file) if is_locked else None


def pass_on(descriptor: int) -> None:
    """Let this process hold a lock until its end, and so does a program that takes its place (`exec`).

    Args:
        descriptor: from `take`, of a process that goes on with the same work.
    """
    kept = os.dup(descriptor)
    os.set_inheritable(kept, True)
    os.environ[_INHERITED] = str(kept)


def _inherited(lock_file: Path) -> int | None:
    """Return the descriptor that `pass_on` left, if it holds the lock of this file."""
    text = os.environ.pop(_INHERITED, "")
    if not text.isdigit():
        return None
    try:
        descriptor = int(text)
        os.set_inheritable(descriptor, False)
        if _is_in_place(descriptor, lock_file):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        os.close(descriptor)
    except (OSError, OverflowError):
        return None
    return None


def _is_in_place(descriptor: int, lock_file: Path) -> bool:
    """Whether the locked file is still the one that others would find."""
    try:
        return os.path.samestat(os.fstat(descriptor), lock_file.stat())
    except FileNotFoundError:
        return False


def _locked(descriptor: int) -> bool:
    limit = time.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > limit:
                return False
            time.sleep(_PAUSE_S)


def _read(descriptor: int) -> Owner:
    try:
        values = json.loads(os.read(descriptor, 1024))
        return Owner(int(values["pid"]), str(values["host"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Owner(0, "")
