"""The run's folder while a process trains in it: a thing that may be moved, not only a name."""

import fcntl
import os
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from engine.errors import UserError
from engine.i18n import _
from engine.project import LOCK_NAME, Project
from engine.shell import command_of
from engine.training.lock_file import pass_on, take


class FolderLost(Exception):
    """The folder at the run's path is no longer the one that this process has locked."""


class HeldFolder:
    """A run's folder that this process has locked, wherever it is moved to."""

    def __init__(self, project: Project, lock: int, is_new: bool = False) -> None:
        """Hold on to the folder.

        Args:
            project: whose run it is.
            lock: descriptor of the lock file, which stays the caller's to close.
            is_new: whether the folder was made for this process.

        Raises:
            OSError: the folder cannot be opened.
        """
        self.project = project
        self._lock, self._is_new = lock, is_new
        self._retaken: list[int] = []
        self._folder = os.open(project.run_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def at(self, project: Project) -> "HeldFolder":
        """Return the same folder at the place of another project, to be closed by itself."""
        return HeldFolder(project, self._lock)

    def close(self) -> None:
        """Let go of the folder."""
        os.close(self._folder)
        for descriptor in self._retaken:
            os.close(descriptor)

    def leave_no_trace(self) -> None:
        """Take a new folder away in which nothing was written: the run was refused, or given up."""
        if not (self._is_new and self.is_in_place):
            return
        folder, lock_file = self.project.run_dir, self.project.lock_file
        with suppress(OSError):
            if not any(path != lock_file for path in folder.iterdir()):
                lock_file.unlink()
                folder.rmdir()

    def pass_on(self) -> None:
        """Keep the lock when this is closed, for the program that takes this process's place."""
        pass_on(self._lock)

    @property
    def is_in_place(self) -> bool:
        """Whether others find this folder and its lock at the path of the project."""
        return self._is_locked_in(self.project.run_dir) and _is_same(self.project.run_dir, self._folder)

    @property
    def is_taken(self) -> bool:
        """Whether the folder is where it was, and another process has a lock in it."""
        return _is_same(self.project.run_dir, self._folder) and not self.is_in_place

    def require_in_place(self) -> None:
        """Check that what is written at the path of the project goes into this folder.

        A lock file that somebody deleted is made again.

        Raises:
            FolderLost: it would not: the folder was moved or deleted, or another process took it.
        """
        if not (self.is_in_place or self._retake()):
            raise FolderLost

    def _retake(self) -> bool:
        if not self.is_taken:
            return False
        try:
            descriptor = take(self.project.lock_file)
        except OSError:
            return False
        if descriptor is None:
            return False
        self._lock = descriptor
        self._retaken.append(descriptor)
        return True

    def found(self) -> Project | None:
        """Return the project whose run's folder this is now; None if it is gone or locked by nobody."""
        path = _path_of(self._folder)
        if path is None or not _is_same(path, self._folder) or not self._is_locked_in(path):
            return None
        return replace(self.project, root=path.parent, run_name=path.name)

    def _is_locked_in(self, folder: Path) -> bool:
        return _is_same(folder / LOCK_NAME, self._lock, follow=False)


def lost(held: HeldFolder, now: Project | None, step: int, archived: Path | None = None) -> UserError:
    """Return what to tell of a run whose folder was lost under it.

    Args:
        held: the folder.
        now: where it was found and the run saved; None if it was not.
        step: of the run.
        archived: where it was saved because another process has taken the folder; None if it was not.
    """
    before = held.project
    if archived is not None:
        return UserError(
            _(
                "Another process has taken {folder}: the run ended at step {step:,}, saved in {archived}"
            ).format(folder=before.run_dir, step=step, archived=archived),
            _("watch the other one with: mqlora-tui monitor"),
        )
    if now is None:
        return UserError(
            _("{folder} was deleted or replaced: the run ended at step {step:,} and is not saved").format(
                folder=before.run_dir, step=step
            ),
            _("put the folder back, if you have it; to begin anew: mqlora-tui train"),
        )
    problem = _("The run's folder was moved to {folder}: the run stopped at step {step:,} and is saved there")
    if now.run_name != before.run_name:
        fix = _("move it back to {folder}, then run: mqlora-tui train").format(folder=before.run_dir)
    else:
        fix = _("go on there: {command}").format(command=f"{command_of(now.root)} train")
    return UserError(problem.format(folder=now.run_dir, step=step), fix)


def _is_same(path: Path, descriptor: int, follow: bool = True) -> bool:
    try:
        return os.path.samestat(os.stat(path, follow_symlinks=follow), os.fstat(descriptor))
    except OSError:
        return False


def _path_of(descriptor: int) -> Path | None:
    """Return where an open folder is now, as the system tells; None where it does not."""
    try:
        if sys.platform == "darwin":
            name = fcntl.fcntl(descriptor, fcntl.F_GETPATH, bytes(1024)).rstrip(b"\0")
            return Path(os.fsdecode(name))
        return Path(os.readlink(f"/proc/self/fd/{descriptor}"))
    except OSError:
        return None
