"""Changes of the data files: called in threads, they answer with a message."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import UserError
from engine.i18n import _
from engine.project import Project
from engine.sanitize import one_line
from engine.training.lock import run_lock
from tui.app.jobs.machine_and_data import Post
from tui.terminal.editor import editor_command

from textual.message import Message

if TYPE_CHECKING:
    from engine.dataset.convert.in_place import Replaced  # imports msgspec, so not at start-up

Change = Callable[[], "Replaced"]


@dataclass
class DataMended(Message, bubble=False):
    """Data files were changed, or are as they were; or it was refused; an error may come with all three."""

    text: str
    """What was done, or that nothing was, in words, with a full stop."""
    replaced: "Replaced | None" = None
    error: UserError | None = None


def change_data(project: Project, text: str, change: Change, post: Post) -> None:
    """Change data files while no run can read them, and post what came of it.

    Args:
        project: whose data it is.
        text: what is done then, in words.
        change: does it.
        post: gets a `DataMended`.
    """
    from engine.dataset.convert.in_place import Unchanged

    try:
        with run_lock(project):
            replaced = change()
        post(DataMended(text, replaced))
    except Unchanged as same:
        post(DataMended(str(same)))
    except UserError as error:
        post(DataMended(text, error=error))


def edit_data(
    project: Project, file: str, line: int, show: Callable[[Sequence[str]], int], post: Post
) -> None:
    """Let the user's editor change a data file, and post what came of it.

    Args:
        project: whose data it is.
        file: name of the data file.
        line: that the editor begins at.
        show: gives the terminal to a command, and returns its exit code.
        post: gets a `DataMended`.
    """
    from engine.dataset.convert.in_place import Unchanged, edit_file

    failure: UserError | None = None

    def edit(path: Path) -> None:
        nonlocal failure
        command = editor_command(path, line)
        if code := show(command):
            problem = _("The editor '{editor}' ended with code {code}")
            editor = one_line(Path(command[0]).name, 40)
            fix = _("set VISUAL or EDITOR to another one, if that was not meant")
            failure = UserError(problem.format(editor=editor, code=code), fix)

    text = _("{file} is changed.").format(file=file)
    try:
        with run_lock(project):
            pass  # nobody trains; a run that begins while the editor is open has read the rows by its end
        post(DataMended(text, edit_file(project, file, edit), failure))
    except Unchanged as same:
        post(DataMended(str(same), error=failure))
    except UserError as error:
        post(DataMended(text, error=error))
