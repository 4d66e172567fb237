"""One owner for `checkpoints_qlora/`: the system drops the lock when its process ends.

Whether a run is alive is asked of this lock and of nothing else: it needs no
clock, does not mistake a reused pid for the owner, and survives no reboot.
"""

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.errors import UserError
from engine.files import own_descriptor
from engine.i18n import _
from engine.project import Project
from engine.training.failures import explained_writes
from engine.training.held import HeldFolder

# A viewer holds a shared lock for an instant while it looks.
_PATIENCE_S = 0.5
_PAUSE_S = 0.02


@dataclass(frozen=True)
class Owner:
    """The process that trains in a project."""

    pid: int
    host: str

    @property
    def is_local(self) -> bool:
        """Whether it runs on this machine, where it can be sent a signal."""
        return self.pid > 0 and self.host == socket.gethostname()


@contextmanager
def run_lock(project: Project) -> Iterator[HeldFolder]:
    """Hold the run folder for this process.

    Raises:
        UserError: another process trains there, or the folder cannot be written.
    """
    with explained_writes(project.run_dir):
        try:
            descriptor, is_new = _acquire(project)
        except PermissionError:
            if lock_owner(project):  # another user's, who trains
                raise _refusal(project) from None
            raise
    if descriptor is None:
        raise _refusal(project)
    try:
        with explained_writes(project.run_dir):
            held = HeldFolder(project, descriptor)
        try:
            yield held
        finally:
            if is_new and held.is_in_place:
                _leave_no_trace(project)
            held.close()
    finally:
        os.close(descriptor)  # last: who waits for the lock then sees that its file is gone


def _leave_no_trace(project: Project) -> None:
    """Take a new folder away in which nothing was written: the run was refused."""
    with suppress(OSError):
        if not any(path != project.lock_file for path in project.run_dir.iterdir()):
            project.lock_file.unlink()
            project.run_dir.rmdir()


def lock_owner(project: Project) -> Owner | None:
    """Return the process, this one included, that trains in `project` now; None if none does."""
    return owner_of(project.lock_file)


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


def _acquire(project: Project) -> tuple[int | None, bool]:
    """Lock the run folder, which is made if there is none.

    Returns:
        A descriptor that holds the lock until it is closed, None if another process has it;
        and whether the folder is new.
    """
    is_new = not project.run_dir.exists()
    try:
        project.run_dir.mkdir(parents=True, exist_ok=True)
        descriptor = own_descriptor(project.lock_file, os.O_RDWR | os.O_CREAT)
    except (FileExistsError, FileNotFoundError):
        if os.path.lexists(project.run_dir) and not project.run_dir.is_dir():
            raise
        return _acquire(project)  # a run that was refused has just taken its new folder away
    try:
        is_locked = _locked(descriptor)
        if is_locked and _is_in_place(descriptor, project.lock_file):
            os.ftruncate(descriptor, 0)
            os.write(descriptor, json.dumps(asdict(Owner(os.getpid(), socket.gethostname()))).encode())
            return descriptor, is_new
    except OSError:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return _acquire(project) if is_locked else (None, False)


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


def _refusal(project: Project) -> UserError:
    owner = lock_owner(project)
    who = (
        _("process {pid} on {host}").format(pid=owner.pid, host=owner.host)
        if owner and owner.pid
        else _("another process")
    )
    return UserError(
        _("{owner} is training in {folder}").format(owner=who, folder=project.run_dir),
        _("watch it with: mqlora-tui monitor"),
    )
