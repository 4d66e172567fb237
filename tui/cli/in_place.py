"""`use` and `undo`: other rows in the place of the data files, and the way back."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from engine.i18n import _
from engine.project import Project
from engine.sanitize import one_line
from engine.shell import path_of
from engine.training.lock import run_lock
from engine.training.state import RunState
from tui.console import print_json, say

if TYPE_CHECKING:
    from engine.dataset.convert.in_place import Replaced  # imports msgspec, so not at start-up


def use(project: Project, folder: Path, as_json: bool) -> None:
    """Put the rows of a folder in the place of the data.

    Raises:
        UserError: a run reads the data, the rows are the same, or see `engine.dataset.convert.in_place`.
    """
    from engine.dataset.convert.in_place import use_rows

    replaced = _changed(project, lambda: use_rows(project, folder), as_json)
    if not as_json:
        text = _("  What was there is in {folder}; to put it back: mqlora-tui undo")
        say(text.format(folder=path_of(replaced.folder)))


def undo(project: Project, as_json: bool) -> None:
    """Take the last change of the data back.

    Raises:
        UserError: a run reads the data, or see `engine.dataset.convert.in_place`.
    """
    from engine.dataset.convert.in_place import undo as undo_change

    _changed(project, lambda: undo_change(project), as_json)


def say_how_to_use(folder: Path) -> None:
    """Say how the rows in a folder take the place of the data."""
    say(_("  To use these rows in place of yours: mqlora-tui use {folder}").format(folder=path_of(folder)))


def _changed(project: Project, change: Callable[[], "Replaced"], as_json: bool) -> "Replaced":
    """Change data files while no run can read them, and say which are others now."""
    with run_lock(project):
        replaced = change()
    if as_json:
        print_json({"files": replaced.files, "backup": str(replaced.folder)})
        return replaced
    text = _("✓ {files} in {folder}: other rows than before")
    folder = one_line(str(project.data_dir), 300)
    say(text.format(files=", ".join(replaced.files), folder=folder))
    state = RunState.load(project.state_file)
    if state and state.status != "finished":
        say(_("  ! the unfinished run goes on only with the rows it began with"))
    return replaced
