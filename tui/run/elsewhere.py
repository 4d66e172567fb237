"""A run that the app starts in a process of its own, and follows there."""

import threading
from collections.abc import Callable, Sequence

from engine.config import TrainingConfig
from engine.errors import UserError, system_reason, write_fix
from engine.i18n import _
from engine.project import Project
from engine.training.events import Mode, Resumption
from tui.run.background import StoppedEarly, spawn, wait_for_start
from tui.run.defect import training_defect
from tui.run.machines import Machines


class Elsewhere:
    """Starts `mqlora-tui train` in the background; a thread waits for its beginning and its end."""

    def __init__(self, project: Project, changed: Callable[[UserError | None], None]) -> None:
        """Prepare.

        Args:
            project: to train in.
            changed: called on any thread when the run may be in another phase, with the refusal if it
                ended before it began.
        """
        self._project, self._changed = project, changed
        self.is_starting = False
        """Whether a process was started that is to train but does not hold the run yet."""

    def start(self, arguments: Sequence[str]) -> None:
        """Start it."""
        self.is_starting = True
        self._changed(None)
        threading.Thread(target=self._follow, args=(arguments,), daemon=True).start()

    def _follow(self, arguments: Sequence[str]) -> None:
        try:
            child, begin = spawn(self._project, arguments)
            wait_for_start(self._project, child, begin)
        except Exception as error:  # nobody waits for this thread: what went wrong is told on the screen
            self.is_starting = False
            self._changed(self._told_of(error))
            return
        self.is_starting = False
        self._changed(None)
        child.wait()
        self._changed(None)

    def _told_of(self, error: Exception) -> UserError | None:
        """Return what a run that did not begin is told of; None where somebody stopped it."""
        if isinstance(error, StoppedEarly):
            return None
        return error if isinstance(error, UserError) else training_defect(self._project, error)


def train_arguments(
    project: Project, config: TrainingConfig | None, mode: Mode, how: Resumption, machines: Machines
) -> list[str]:
    """Return the options of `mqlora-tui train` that do what the controller is asked for.

    The command reads the settings of a new run from their file, so they are written there.

    Raises:
        UserError: a file cannot be read or written.
    """
    try:
        options = machines.options(project)
        if config is not None:
            project.make_run_dir()
            config.save(project.config_file)
    except OSError as error:
        raise UserError(
            _("Cannot write into {path}: {reason}").format(path=project.run_dir, reason=system_reason(error)),
            write_fix(error),
        ) from None
    options += ["--resume"] * (mode == "resume") + ["--restart"] * (mode == "restart")
    options += ["--half-micro-batch"] * how.halve_micro_batch
    return options + ["--accept-versions"] * how.accept_versions
