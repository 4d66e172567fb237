"""A run in a process of its own that outlives the terminal."""

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

from engine.errors import UserError
from engine.files import open_own
from engine.i18n import _
from engine.project import Project
from engine.sanitize import one_line
from engine.training.lock import lock_owner
from engine.training.state import RunState
from tui.console import print_json, say
from tui.respawn import SUPERVISED

_STOPPED = [128 + number for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)]
"""Exit codes of a run that one of these ended."""
START_LIMIT_S = 20.0
"""Loading a large model from a slow disk takes minutes; whoever asked is told sooner."""


def background_command(project: Project, options: Sequence[str], as_json: bool) -> int:
    """Start `train` with `options` in the background, say how to follow it, return 0.

    Raises:
        UserError: it ended at once, for the reason that it printed.
    """
    pid = start_background(project, options)
    if as_json:
        print_json({"pid": pid, "log": str(project.log_file)})
    else:
        say(
            _("Training in the background as process {pid}; log in {log}").format(
                pid=pid, log=project.log_file
            )
        )
        say(_("watch it with: mqlora-tui monitor   pause it with: kill {pid}").format(pid=pid))
    return 0


class StoppedEarly(UserError):
    """A run was ended by a signal before its first step; somebody wanted that."""


def start_background(project: Project, arguments: Sequence[str]) -> int:
    """Start `mqlora-tui train` with `arguments` in its own session; return the pid to pause it by.

    Waits until the run has started, at most 20 seconds.

    Raises:
        UserError: it ended at once, for the reason that it printed.
    """
    child, begin = spawn(project, arguments)
    return wait_for_start(project, child, begin, START_LIMIT_S)


def wait_for_start(
    project: Project, child: "subprocess.Popen[bytes]", begin: int, limit_s: float = math.inf
) -> int:
    """Wait until the run of `spawn` makes steps, or the limit is over; return the pid to pause it by.

    Args:
        project: of the run.
        child: what was started.
        begin: where in the log file its output begins, in bytes.
        limit_s: longest wait, seconds.

    Raises:
        UserError: it ended at once, for the reason that it printed.
    """
    limit = time.monotonic() + limit_s
    while time.monotonic() < limit:
        if pid := _trainer(project, child.pid):
            return pid
        if child.poll() == 0:  # a run of a few steps
            break
        if child.returncode in _STOPPED:
            raise StoppedEarly(_("Training was stopped while it got ready"), _("start it again"))
        if child.returncode is not None:
            raise _ended_at_once(project, begin)
        time.sleep(0.1)
    return child.pid


def spawn(
    project: Project, arguments: Sequence[str], first_line: str = ""
) -> tuple["subprocess.Popen[bytes]", int]:
    """Start `mqlora-tui train` with `arguments` where no terminal's end can reach it.

    Its output goes to the project's log file.

    Returns:
        The process, and where in the log file its output begins, in bytes.
    """
    project.make_run_dir()
    with open_own(project.log_file, "ab") as log:
        log.write(f"{first_line}\n".encode() if first_line else b"")
        log.flush()
        begin = log.tell()
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tui", "-C", str(project.root), "train", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={name: value for name, value in os.environ.items() if name != SUPERVISED},
        )
        return process, begin


def _trainer(project: Project, pid: int) -> int | None:
    """Return the process that makes steps in `project` if it is process `pid` or a child of it."""
    import psutil  # not at start-up

    state, owner = RunState.load(project.state_file), lock_owner(project)
    if state is None or owner is None or (state.status, state.pid) != ("running", owner.pid):
        return None
    try:
        parents = [process.pid for process in psutil.Process(owner.pid).parents()]
    except psutil.Error:
        return None
    return owner.pid if pid in (owner.pid, *parents) else None


def _ended_at_once(project: Project, begin: int) -> UserError:
    """Return what to tell of a run that ended before it began: its last line is a `UserError`'s, or any."""
    problem, _semicolon, fix = _last_line(project, begin).removesuffix(".").rpartition("; ")
    return UserError(
        _("The run ended before it began: {reason}").format(reason=problem or fix),
        fix if problem else _("see {log}").format(log=project.log_file),
    )


def _last_line(project: Project, begin: int) -> str:
    with open_own(project.log_file) as log:
        log.seek(begin)
        lines = log.read().decode("utf-8", errors="replace").strip().splitlines()
    return one_line(lines[-1], 1000) if lines else _("it printed nothing")
