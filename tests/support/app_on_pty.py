"""The app on a real terminal, with a run going on."""

import time
from collections.abc import Callable

from engine.project import Project
from tests.support.terminal import LIMIT_S, Terminal


def app_while_training(project: Project) -> Terminal:
    terminal = Terminal("-C", str(project.root))
    terminal.wait_for("Ready for")
    terminal.press("4")
    terminal.wait_for("Enter Start")
    terminal.press("\r")
    terminal.wait_for("● running")
    wait_until(lambda: steps(project) >= 3)
    return terminal


def wait_until(holds: Callable[[], bool]) -> None:
    limit = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < limit, "it never happened"
        time.sleep(0.05)


def steps(project: Project) -> int:
    try:
        return len(project.metrics_file.read_text().splitlines())
    except OSError:
        return 0
