"""An unexpected exception in training: its traceback for the log, one sentence for the user."""

import contextlib
import traceback

from engine.errors import UserError
from engine.files import open_own
from engine.i18n import _
from engine.project import Project
from engine.sanitize import one_line, printable
from engine.training.state import now


def training_defect(project: Project, error: Exception) -> UserError:
    """Append the traceback to the run's log and say in one sentence what happened."""
    with contextlib.suppress(OSError, UserError):
        project.make_run_dir()
        with open_own(project.log_file, "a", encoding="utf-8") as log:
            log.write(f"{now()} {printable(''.join(traceback.format_exception(error)))}")
    kind, message = type(error).__name__, one_line(str(error), 200)
    return UserError(
        _("Training stopped at a defect: {reason}").format(reason=f"{kind}: {message}" if message else kind),
        _("start it again to go on from what is saved; details are in {log}").format(
            log=project.log_file.relative_to(project.root)
        ),
    )
