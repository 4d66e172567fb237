"""One owner for `checkpoints_qlora/`: the system drops the lock when its process ends."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from engine.errors import UserError
from engine.i18n import _
from engine.project import Project
from engine.training.state import RunState

from filelock import FileLock, Timeout


@contextmanager
def run_lock(project: Project) -> Iterator[None]:
    """Hold the run folder for this process.

    Raises:
        UserError: another process trains there, or the folder cannot be written.
    """
    lock = FileLock(project.lock_file)
    is_new = not project.run_dir.exists()
    try:
        project.run_dir.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        state = RunState.load(project.state_file)
        owner = (
            _("process {pid} on {host}").format(pid=state.pid, host=state.host)
            if state and state.is_alive
            else _("another process")
        )
        raise UserError(
            _("{owner} is training in {folder}").format(owner=owner, folder=project.run_dir),
            _("watch it with: mqlora-tui monitor"),
        ) from None
    except OSError as error:
        raise UserError(
            _("Cannot write to {folder}: {reason}").format(folder=project.run_dir, reason=error.strerror),
            _("make the folder writable or choose another project with -C"),
        ) from None
    try:
        yield
    finally:
        lock.release()
        if is_new and not any(path != project.lock_file for path in project.run_dir.iterdir()):
            shutil.rmtree(project.run_dir)  # the run was refused: leave no trace of it
