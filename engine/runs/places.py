"""Where the runs of a project lie: the present one in the run's folder, the earlier ones in its archive."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from engine.i18n import _
from engine.project import Project
from engine.sanitize import one_line
from engine.training.checkpoint_folders import checkpoint_folders

_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}_[0-9]{6}_[0-9]{6}")
"""Name that a run has in the archive if nobody renames it."""
_SECONDS = len("2026-01-31_120000")


@dataclass(frozen=True)
class RunPlace:
    """A folder in which a run lies, or should."""

    project: Project
    """As that run sees it: its `run_dir` is the run's folder, models and data are those of the project."""
    name: str = ""
    """Of the folder in the archive; empty for the present run."""

    @property
    def folder(self) -> Path:
        """All that the run wrote."""
        return self.project.run_dir

    @property
    def is_present(self) -> bool:
        """Whether it is the run that training goes on with or archives."""
        return not self.name

    @property
    def can_be_changed(self) -> bool:
        """Whether it is a folder of the archive, and no link: what is renamed, brought back and deleted."""
        archive = self.folder.parent
        is_archived = not self.is_present and archive.name == self.project.archive_dir.name
        return (
            is_archived and not archive.is_symlink() and not self.folder.is_symlink() and self.folder.is_dir()
        )

    @property
    def label(self) -> str:
        """How the run is called, harmless for a terminal."""
        return one_line(self.name, 60) or _("present")

    @property
    def short_label(self) -> str:
        """The same for a list: without the microseconds of a run that was archived and not renamed."""
        return self.name[:_SECONDS] if _TIME.fullmatch(self.name) else self.label


def run_places(project: Project) -> list[RunPlace]:
    """Return the present run, if there is one, and what lies in the archive, the newest first.

    An archive that is a link, or cannot be read, is returned in the place of what would be in it.
    """
    names = (project.state_file, project.metrics_file)
    is_there = any(map(os.path.lexists, names)) or checkpoint_folders(project.run_dir)
    present = [RunPlace(project)] if is_there else []
    return present + sorted(_archived(project), key=lambda place: _written(place.project), reverse=True)


def archived(project: Project, name: str) -> RunPlace:
    """Return the place of an archived run."""
    return RunPlace(replace(project, run_name=f"{project.run_name}/{project.archive_dir.name}/{name}"), name)


def _archived(project: Project) -> Iterator[RunPlace]:
    folder = project.archive_dir
    if not os.path.lexists(folder):
        return
    try:
        if folder.is_symlink():
            raise NotADirectoryError
        names = [name for name in os.listdir(folder) if not name.startswith(".")]
    except OSError:
        yield replace(archived(project, ""), name=folder.name)
        return
    yield from (archived(project, name) for name in names)


def _written(project: Project) -> float:
    """Return when a run was written last; its folder may have been renamed, and notes been added since."""
    for path in (project.state_file, project.metrics_file, project.run_dir):
        try:
            return os.lstat(path).st_mtime
        except OSError:
            continue
    return 0.0
