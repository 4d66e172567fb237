"""One owner for `checkpoints_qlora/`, from the beginning of a session to its end."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from engine.errors import UserError
from engine.i18n import _
from engine.project import Project
from engine.training.failures import command_of, explained_writes
from engine.training.folder_handle import HeldFolder
from engine.training.lock_file import Owner, owner_of, take


@contextmanager
def run_lock(project: Project, then: str = "") -> Iterator[HeldFolder]:
    """Hold the run folder for this process.

    Args:
        project: whose run it is.
        then: the command to run again where it cannot be written; that of the run if none is named.

    Raises:
        UserError: another process trains there, or the folder cannot be written.
    """
    then = then or command_of(project)
    with explained_writes(project.run_dir, then):
        try:
            descriptor, is_new = _acquire(project)
        except PermissionError:
            if lock_owner(project):  # another user's, who trains
                raise _refusal(project) from None
            raise
    if descriptor is None:
        raise _refusal(project)
    try:
        with explained_writes(project.run_dir, then):
            held = HeldFolder(project, descriptor, is_new)
        try:
            yield held
        finally:
            held.leave_no_trace()
            held.close()
    finally:
        os.close(descriptor)  # last: who waits for the lock then sees that its file is gone


def lock_owner(project: Project) -> Owner | None:
    """Return the process, this one included, that trains in `project` now; None if none does."""
    return owner_of(project.lock_file)


def _acquire(project: Project) -> tuple[int | None, bool]:
    """Lock the run folder, which is made if there is none.

    Returns:
        A descriptor that holds the lock until it is closed, None if another process has it;
        and whether the folder is new.
    """
    is_new = not project.run_dir.exists()
    try:
        project.make_run_dir()
        return take(project.lock_file), is_new
    except (FileExistsError, FileNotFoundError):
        if os.path.lexists(project.run_dir) and not project.run_dir.is_dir():
            raise
        return _acquire(project)  # a run that was refused has just taken its new folder away


def _refusal(project: Project) -> UserError:
    owner = lock_owner(project)
    who = (
        _("Process {pid} on {host}").format(pid=owner.pid, host=owner.host)
        if owner and owner.pid
        else _("Another process")
    )
    return UserError(
        _("{owner} is training in {folder}").format(owner=who, folder=project.run_dir),
        _("watch it with: mqlora-tui monitor"),
    )
