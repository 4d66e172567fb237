"""What can be done with the folder of a run: archived, renamed, brought back, deleted.

Nothing is done to a run that a process owns, and no link is followed.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.errors import UserError, system_reason, write_fix
from engine.files import PARTIAL, NoPlainFile, clear_partial, remove
from engine.i18n import _
from engine.project import Project
from engine.runs.places import RunPlace, archived
from engine.sanitize import printable
from engine.training.checkpoint_folders import checkpoint_folders
from engine.training.checksums import read_state
from engine.training.lock import run_lock

_LONGEST_NAME = 80
MOST_FILES = 100_000
"""More are not counted."""


@dataclass(frozen=True)
class Contents:
    """What the deletion of a run's folder takes away."""

    files: int
    """Links in it count as one each, and are all that goes of what they lead to."""
    bytes: int
    is_all: bool
    """Whether there are not more than `MOST_FILES`."""


def contents_of(place: RunPlace) -> Contents:
    """Count what is in a run's folder; links are not followed."""
    files = size = 0
    for folder, folders, names in os.walk(place.folder):
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in (*names, *links):
            files += 1
            try:
                size += os.lstat(os.path.join(folder, name)).st_size
            except OSError:
                continue
            if files >= MOST_FILES:
                return Contents(files, size, False)
    return Contents(files, size, True)


def check_new_name(place: RunPlace, name: str) -> str:
    """Return a name that an archived run can get, without white space around it.

    Raises:
        UserError: it is none for a folder, or exists.
    """
    name = name.strip()
    _require_name(name)
    if name != place.name and os.path.lexists(archived(_project_of(place), name).folder):
        raise UserError(
            _("There is an archived run {name} already").format(name=name), _("choose another name")
        )
    return name


def rename_run(place: RunPlace, name: str) -> RunPlace:
    """Give the folder of an archived run another name, and return its new place.

    Raises:
        UserError: the name is none for a folder or exists, a process owns the run, or it cannot be renamed.
    """
    with _owned(place):
        target = archived(_project_of(place), check_new_name(place, name))
        place.folder.rename(target.folder)
    return target


def delete_run(place: RunPlace) -> None:
    """Delete an archived run; it vanishes in one step and is then cleared away.

    Raises:
        UserError: a process owns it, or it cannot be deleted.
    """
    with _owned(place):
        archive = place.folder.parent
        clear_partial(archive)
        doomed = archive / f"{PARTIAL}old-{place.name[:_LONGEST_NAME]}"
        remove(doomed)
        place.folder.rename(doomed)
        remove(doomed)


def archive_present(project: Project) -> None:
    """Move the present run into the archive; imports MLX, so only on the thread that computes with it.

    Raises:
        UserError: a process trains, or the folder cannot be written.
    """
    from engine.training.run_folder import archive_run

    with run_lock(project), _explained(project.run_dir):
        archive_run(project)


def bring_back(place: RunPlace) -> None:
    """Make an archived run the present one, which goes to the archive; imports MLX, as above.

    The selected settings stay as they are. The checkpoints go last, the newest at the end.

    Raises:
        UserError: a process owns one of the two, or the folder cannot be written.
    """
    from engine.training.retention import archive
    from engine.training.run_folder import archive_run

    project = _project_of(place)
    with run_lock(project), _owned(place):
        archive_run(project)
        checkpoints = checkpoint_folders(place.folder)[::-1]
        stays = {place.project.lock_file, place.project.config_file, place.project.archive_dir, *checkpoints}
        moved = [*(path for path in place.folder.iterdir() if path not in stays), *checkpoints]
        targets = [project.run_dir / path.name for path in moved]
        archive(project.run_dir, filter(os.path.lexists, targets))
        for path, target in zip(moved, targets, strict=True):
            path.rename(target)
        if any(read_state(folder) for folder in checkpoint_folders(project.run_dir)):
            place.project.config_file.unlink(missing_ok=True)  # a copy of what the checkpoints have
        place.project.lock_file.unlink(missing_ok=True)
        if not any(place.folder.iterdir()):
            place.folder.rmdir()


def _project_of(place: RunPlace) -> Project:
    """Return the project in whose archive a run lies."""
    return Project(place.project.root, str(Path(place.project.run_name).parents[1]))


@contextmanager
def _owned(place: RunPlace) -> Iterator[None]:
    """Keep other processes off an archived run; one that trains in it has its lock file there.

    Raises:
        UserError: a process owns the run, it is no folder of the archive, or a write failed.
    """
    if not place.can_be_changed:
        raise UserError(
            _("{path} is not a folder of the archive").format(path=place.folder),
            _("choose an archived run that is a folder"),
        )
    with ExitStack() as held, _explained(place.folder):
        if os.path.lexists(place.project.lock_file):
            held.enter_context(run_lock(place.project))
        yield


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Turn what the system does not let us do with a run's folder into a refusal.

    Raises:
        UserError: instead of an OSError in the block.
    """
    try:
        yield
    except NoPlainFile:
        raise
    except OSError as error:
        raise UserError(
            _("Cannot change {folder}: {reason}").format(folder=folder, reason=system_reason(error)),
            write_fix(error),
        ) from None


def _require_name(name: str) -> None:
    is_plain = name == printable(name) and not set(name) & set("/\\:\n\t")
    if not name or not is_plain or name.startswith(".") or len(name) > _LONGEST_NAME:
        raise UserError(
            _("'{name}' is no name for a folder").format(name=name),
            _("write at most {n} letters, digits, spaces, - or _, and no dot in front").format(
                n=_LONGEST_NAME
            ),
        )
