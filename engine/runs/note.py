"""A short text that somebody keeps with a run."""

from engine.errors import UserError, system_reason, write_fix
from engine.files import NoPlainFile, read_own, write_atomic
from engine.i18n import _
from engine.project import Project
from engine.sanitize import one_line

LONGEST = 500
"""Characters of a note."""


def read_note(project: Project) -> str:
    """Return the note of the run in a project, on one line; empty where there is none that can be read."""
    try:
        text = read_own(project.note_file, 4 * LONGEST + 1).decode("utf-8", errors="replace")
    except (OSError, NoPlainFile):
        return ""
    return one_line(text.strip(), LONGEST)


def write_note(project: Project, text: str) -> None:
    """Keep a note with the run; an empty one is taken away.

    Raises:
        UserError: the run is gone, or its folder cannot be written.
    """
    note = one_line(text.strip(), LONGEST)
    try:
        if note:
            write_atomic(project.note_file, note + "\n")
        else:
            project.note_file.unlink(missing_ok=True)
    except NoPlainFile:
        raise
    except OSError as error:
        raise UserError(
            _("Cannot write {path}: {reason}").format(path=project.note_file, reason=system_reason(error)),
            write_fix(error),
        ) from None
