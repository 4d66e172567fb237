"""Running the app in a terminal, from the first paint to a clean end."""

import os
import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from engine.i18n import _
from engine.importing import importing
from engine.project import Project
from engine.training.lock import lock_owner
from tui.terminal.gnu_screen import is_in_screen, require_utf8
from tui.terminal.signal_exit import SAVE_LIMIT_S, SignalExit

if TYPE_CHECKING:
    from tui.app.app import MqloraApp

_LOOK_S = 0.2


def run_app(project: Project, go_on: bool = False, half_micro_batch: bool = False) -> int:
    """Open the app; at its end say where the run stands.

    Returns the exit status: 0, 128 + the signal that ended it, or 1 after a defect or where a
    signal came and the run could not be saved. A run that is refused at its start, as the terminal
    is lost, had nothing to save.

    In GNU screen there is no mouse: while it reports one, it keeps Escape back until the next key.

    Args:
        project: the project directory.
        go_on: resume the unfinished run at once.
        half_micro_batch: resume it with micro-batches of half the size.

    Raises:
        UserError: the terminal cannot show it.
    """
    in_screen = is_in_screen(os.environ)
    if in_screen:
        require_utf8(sys.stdin.fileno())
    app = _make_app(project, go_on or half_micro_batch, half_micro_batch)
    leaving = _Leaving(app)
    exit_on_signal = SignalExit(app.engine, leaving.begin, leaving.saved)
    exit_on_signal.install()
    app.on_hang_up = lambda: exit_on_signal.handle(signal.SIGHUP)
    app.lend_terminal = exit_on_signal.lend_terminal
    try:
        app.run(mouse=not in_screen)
    finally:
        ended = app.engine.close(SAVE_LIMIT_S)
    code = _report_end(app, exit_on_signal, can_refuse=ended and leaving.was_running)
    if not ended or app.pool.is_busy:
        _end_now(code)
    return code


def _make_app(project: Project, go_on: bool, half_micro_batch: bool) -> "MqloraApp":
    """Import the app and make it.

    Textual reads two settings when it is imported: at most ten frames a second,
    and no animations, both for slow links.
    """
    os.environ.setdefault("TEXTUAL_FPS", "10")
    os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
    with importing():
        from tui.app.app import MqloraApp
    return MqloraApp(project, go_on, half_micro_batch)


class _Leaving:
    """What a signal that ends the app found under way, and what becomes of that."""

    def __init__(self, app: "MqloraApp") -> None:
        self._app = app
        self.was_running = self._was_training = False

    def begin(self) -> None:
        """Tell the app to leave."""
        training, engine = self._app.training, self._app.engine
        self.was_running = training.is_running
        is_training = training.is_running and not engine.stop_event.is_set()
        self._was_training = (
            is_training or training.is_taking_over or (self.was_running and self._app.hands_over)
        )
        self._app.exit_from_signal()

    def saved(self, number: int) -> None:
        """Let the run go on in the background if signal `number` tells that the terminal is gone."""
        from tui.run.handover import hand_over

        if number == signal.SIGHUP and self._was_training:
            _wait_until_free(self._app.project)
            hand_over(self._app.project)


def _report_end(app: "MqloraApp", exit_on_signal: SignalExit, can_refuse: bool) -> int:
    """Say where the run stands, or why it failed, and return the exit status.

    Args:
        app: that has ended.
        exit_on_signal: what its signals began.
        can_refuse: whether a run was under way when the app was told to leave, and has come to its end.
    """
    from tui.console import refuse, report_defect

    if app.unclosed:
        _say_unclosed()
    code = report_defect(app.defect) if app.defect else _exit_code(app.return_code, exit_on_signal)
    is_unheard = exit_on_signal.received == signal.SIGHUP and not app.training.is_lost
    if can_refuse and app.training.refusal and not is_unheard:
        with suppress(OSError):
            code = refuse(app.training.refusal)
    elif exit_on_signal.received != signal.SIGHUP:
        _say_standing(app.project)
    return code


def _say_unclosed() -> None:
    from tui.console import err, say

    with suppress(OSError):
        text = _("A part of the app did not end and was left behind; report it with the steps that led here.")
        say(text, err)


def _say_standing(project: Project) -> None:
    """Say where the run stands, if there is one."""
    from tui.console import say
    from tui.run.standing import standing

    if text := standing(project):
        with suppress(OSError):  # the terminal may be gone by now
            say(text)


def _exit_code(returned: int | None, exit_on_signal: SignalExit) -> int:
    """Return the exit status of an app without a defect, once what a signal began is done."""
    if exit_on_signal.received is None:
        return returned or 0
    exit_on_signal.settled.wait(SAVE_LIMIT_S)
    return 128 + exit_on_signal.received


def _end_now(code: int) -> None:
    """End the process although a thread still computes: the interpreter would wait for it."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # the terminal may be gone by now
            stream.flush()
    os._exit(code)


def _wait_until_free(project: Project) -> None:
    """Wait for another process that was asked to pause, and whose run was to go on here."""
    limit = time.monotonic() + SAVE_LIMIT_S
    while lock_owner(project) and time.monotonic() < limit:
        time.sleep(_LOOK_S)
