"""What stands on the terminal when the app was left."""

import re
from pathlib import Path

from engine.training.state import Status
from tests.support.fake_run import fake_project, write_run
from tests.support.terminal import Terminal

import pytest

ALT_SCREEN_OFF = b"\x1b[?1049l"


def left(terminal: Terminal) -> str:
    """Leave with q; return what is on the terminal then."""
    terminal.wait_for("? Help")
    terminal.press("q")
    assert terminal.wait() == 0
    return terminal.output.rpartition(ALT_SCREEN_OFF)[2].decode()


@pytest.mark.parametrize("status", ["paused", "finished"])
def test_leaving_says_where_the_run_stands(tmp_path: Path, status: Status) -> None:
    """With commands for the project, which is not the present folder."""
    project = fake_project(tmp_path / "a b")
    write_run(project, status, 30)
    said = left(Terminal("-C", str(project.root)))
    assert {"paused": "Paused at step 30 of 60, saved.", "finished": "Finished at step 30"}[status] in said
    assert f"-C '{project.root}' " + {"paused": "train", "finished": "report"}[status] in said


def test_leaving_says_nothing_where_there_is_nothing_to_say(tmp_path: Path) -> None:
    """No run, no word."""
    said = left(Terminal("-C", str(fake_project(tmp_path).root)))
    assert not re.sub(r"\x1b\[[0-?]*[ -/]*[@-~]", "", said).strip(), said
