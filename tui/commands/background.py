"""A run in a process of its own that outlives the terminal."""

import subprocess
import sys
import time
from collections.abc import Sequence

from engine.errors import UserError
from engine.i18n import _
from engine.project import Project
from engine.text import one_line
from engine.training.state import RunState
from tui.commands.output import print_json, say

# Loading a large model from a slow disk takes minutes; whoever asked is told sooner.
_START_LIMIT_S = 20.0


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


def start_background(project: Project, arguments: Sequence[str]) -> int:
    """Start `mqlora-tui train` with `arguments` in its own session; return its pid.

    Its output goes to the project's log file, where the terminal's end cannot
    reach it. Waits until the run has started, at most 20 seconds.

    Raises:
        UserError: it ended at once, for the reason that it printed.
    """
    project.run_dir.mkdir(parents=True, exist_ok=True)
    with project.log_file.open("ab") as log:
        begin = log.tell()
        child = subprocess.Popen(
            [sys.executable, "-m", "tui", "-C", str(project.root), "train", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    limit = time.monotonic() + _START_LIMIT_S
    while time.monotonic() < limit:
        state = RunState.load(project.state_file)
        if state and state.pid == child.pid and state.status == "running":
            break
        if child.poll() == 0:  # a run of a few steps
            break
        if child.returncode is not None:
            raise UserError(
                _("The background run ended at once: {reason}").format(reason=_last_line(project, begin)),
                _("see {log}").format(log=project.log_file),
            )
        time.sleep(0.1)
    return child.pid


def _last_line(project: Project, begin: int) -> str:
    with project.log_file.open("rb") as log:
        log.seek(begin)
        lines = log.read().decode("utf-8", errors="replace").strip().splitlines()
    return one_line(lines[-1], 300) if lines else _("it printed nothing")
