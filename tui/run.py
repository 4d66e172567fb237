"""Running the app in a terminal, from the first paint to a clean end."""

import contextlib
import os
import signal

from engine.errors import UserError
from engine.project import Project
from tui.signals import SAVE_LIMIT_S, SignalExit


def run_app(project: Project) -> int:
    """Open the app; return the exit status: 0, 1 after a defect, or 128 + the signal that ended it.

    Textual reads two settings when it is imported: at most ten frames a second,
    and no animations, both for slow links.
    """
    os.environ.setdefault("TEXTUAL_FPS", "10")
    os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
    from tui.app import MqloraApp
    from tui.commands.output import report_defect

    app = MqloraApp(project)
    was_training = False

    def leave() -> None:
        nonlocal was_training
        was_training = app.training.is_running
        app.exit_from_signal()

    def when_saved(number: int) -> None:
        if number == signal.SIGHUP and was_training:
            _go_on_in_background(project)

    exit_on_signal = SignalExit(app.engine, leave, when_saved)
    exit_on_signal.install()
    try:
        app.run()
    finally:
        app.engine.close(SAVE_LIMIT_S)
    if app.defect:
        return report_defect(app.defect)
    if exit_on_signal.received is None:
        return app.return_code or 0
    exit_on_signal.settled.wait(SAVE_LIMIT_S)
    return 128 + exit_on_signal.received


def _go_on_in_background(project: Project) -> None:
    from tui.commands.background import start_background

    # Nobody is there to be told: the reason stands in the run's log, and the run is saved.
    with contextlib.suppress(UserError, OSError):
        start_background(project, ["--resume"])
