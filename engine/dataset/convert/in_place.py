"""Other rows in the place of the project's data files: with a backup beside them, and the way back.

Each change keeps what it takes away in a folder of its own, `data/backup-1`, `data/backup-2` and so on. The
way back takes the newest of them, and only while the files are as that change left them: what other hands
changed since is not thrown away. Whoever calls these holds the run's lock, so that no run reads the files.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from engine.dataset.convert.backup import (
    FileChange,
    copy_file,
    newest_backup,
    next_name,
    read_record,
    sha256_of,
    write_record,
)
from engine.dataset.convert.publish import publish
from engine.errors import UserError, system_reason
from engine.files import PARTIAL, open_given, partial_folder, remove, sync
from engine.i18n import _
from engine.project import Project
from engine.sanitize import one_line

_PART = 1 << 20
"""Bytes of a line that are read at once."""


@dataclass(frozen=True)
class Replaced:
    """What a change, or the way back from it, did."""

    folder: Path
    """Of the backup; one that was taken back is gone."""
    files: tuple[str, ...]
    """Names of the data files that are others now."""


class Unchanged(UserError):
    """There is nothing to do: the rows are the same."""

    def __init__(self) -> None:
        super().__init__(_("The rows are the same, so nothing was changed"), "")


def use_rows(project: Project, folder: Path) -> Replaced:
    """Put the data files of a folder, such as a cleaned copy, in the place of the project's.

    A file that the folder does not have stays as it is.

    Raises:
        Unchanged: the files are the same.
        UserError: there is none in the folder, or it cannot be read or written.
    """

    def copy(to: Path) -> None:
        names = [name for name in _names(project) if (folder / name).is_file()]
        if not names:
            problem = _("There is no file of rows in {folder}").format(folder=folder)
            raise UserError(problem, _("clean or import the rows again"))
        for name in names:
            copy_file(folder / name, to / name)

    return _replace(project, copy)


def drop_row(project: Project, file: str, line: int) -> Replaced:
    """Take one line out of a data file; the others stay as they are, byte for byte.

    Args:
        project: whose data it is.
        file: name of the data file.
        line: from 1.

    Raises:
        UserError: there is no such line, or the file cannot be read or written.
    """

    def copy(to: Path) -> None:
        number, was_there = 1, False
        with open_given(_path(project, file)) as source, (to / file).open("wb") as target:
            for part in iter(partial(source.readline, _PART), b""):
                was_there = was_there or number == line
                if number != line:
                    target.write(part)
                number += part.endswith(b"\n")
        if not was_there:
            problem = _("There is no line {line} in {file}").format(line=line, file=file)
            raise UserError(problem, _("check the data again"))

    return _replace(project, copy)


def edit_file(project: Project, file: str, edit: Callable[[Path], None]) -> Replaced:
    """Let people change a data file, and keep what it was.

    Args:
        project: whose data it is.
        file: name of the data file.
        edit: is given its path, and returns when they are done.

    Raises:
        Unchanged: they left it as it was.
        UserError: it cannot be read, or the backup not be written.
    """
    path = _path(project, file)

    def keep(folder: Path) -> None:
        copy_file(path, folder / file)
        edit(path)
        change = FileChange(sha256_of(folder / file), sha256_of(path))
        if change.before == change.after:
            raise Unchanged
        write_record(folder, {file: change})

    with _explained(project.data_dir):
        folder, _nothing = publish(keep, project.data_dir, next_name(project.data_dir))
    return Replaced(folder, (file,))


def undo(project: Project) -> Replaced:
    """Put back what the newest change took away; the files are then those of before, byte for byte.

    A change that was cut short halfway is taken back as well.

    Raises:
        UserError: there is no backup, it is damaged, the files were changed since, or cannot be written.
    """
    data = project.data_dir
    with _explained(data):
        folder = newest_backup(data)
        if folder is None:
            raise UserError(
                _("There is no backup in {folder}").format(folder=data), _("nothing is to be undone")
            )
        files = read_record(folder)
        for name, change in files.items():
            if sha256_of(_path(project, name)) not in (change.before, change.after):
                problem = _("{file} was changed since then").format(file=name)
                raise UserError(problem, _("what it was before is in {folder}").format(folder=folder))
        for name, change in files.items():
            if change.before is None:
                remove(data / name)
            else:
                _put(folder / name, data / name)
        remove(folder.rename(data / f"{PARTIAL}{folder.name}"))
        sync(data)
    return Replaced(folder, tuple(files))


def _replace(project: Project, make: Callable[[Path], None]) -> Replaced:
    """Let `make` write new data files to a folder, keep those that are there, and put the new ones there."""
    data = project.data_dir
    with _explained(data), partial_folder(data, "rows") as new:
        make(new)
        found = {
            path.name: FileChange(sha256_of(data / path.name), sha256_of(path)) for path in new.iterdir()
        }
        changes = {name: change for name, change in sorted(found.items()) if change.before != change.after}
        if not changes:
            raise Unchanged
        backup = _back_up(data, changes)
        for name in changes:
            sync(new / name)
            (new / name).replace(data / name)
        sync(data)
    return Replaced(backup, tuple(changes))


def _back_up(data: Path, changes: dict[str, FileChange]) -> Path:
    """Copy the files that are to be replaced to a new folder."""

    def keep(folder: Path) -> None:
        for name, change in changes.items():
            if change.before:
                copy_file(data / name, folder / name)
        write_record(folder, changes)

    return publish(keep, data, next_name(data))[0]


def _put(source: Path, target: Path) -> None:
    """Copy a file over another in one step; the first one stays, should the next step fail."""
    with partial_folder(target.parent, "rows") as folder:
        copy_file(source, folder / target.name)
        sync(folder / target.name)
        (folder / target.name).replace(target)


def _names(project: Project) -> tuple[str, str]:
    return project.train_file.name, project.valid_file.name


def _path(project: Project, name: str) -> Path:
    """Return the path of a data file.

    Raises:
        UserError: it is another file's name.
    """
    if name not in _names(project):
        problem = _("'{file}' is no data file").format(file=one_line(name))
        raise UserError(problem, _("name one of: {names}").format(names=", ".join(_names(project))))
    return project.data_dir / name


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Tell in a sentence what cannot be read or written."""
    try:
        yield
    except UserError:
        raise
    except OSError as error:
        problem = _("Cannot change {path}: {reason}")
        raise UserError(
            problem.format(path=error.filename or folder, reason=system_reason(error)),
            _("free some disk space or correct the folder's permissions"),
        ) from None
