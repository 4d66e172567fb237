"""What stands on the terminal when the app was left."""

import re
import sys
from pathlib import Path

from engine.training.state import Status
from tests.support.fake_run import fake_project, write_run
from tests.support.terminal import Terminal

import pytest

ALT_SCREEN_OFF = b"\x1b[?1049l"
_WITH_A_KEY_THAT_NEVER_ENDS = """
import asyncio, sys
from pathlib import Path
from engine.project import Project
from tui.app import input_order, textual_faults
from tui.app.run import run_app
from tui.app.screens.hardware.hardware import HardwareScreen

async def wait_for_ever(screen):
    await asyncio.Event().wait()

input_order.PATIENCE_S = textual_faults.CLOSING_S = 0.5
HardwareScreen.key_f9 = wait_for_ever
sys.exit(run_app(Project(Path(sys.argv[1]))))
"""


def left(terminal: Terminal, key: str = "q") -> str:
    """Leave with a key; return what is on the terminal then."""
    terminal.wait_for("? Help")
    terminal.press(key)
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


def test_what_waits_for_ever_does_not_keep_the_app(tmp_path: Path) -> None:
    """It is left behind, and the user is told, as nobody should have to find out about it otherwise."""
    command = (sys.executable, "-c", _WITH_A_KEY_THAT_NEVER_ENDS, str(fake_project(tmp_path).root))
    terminal = Terminal(command=command)
    terminal.wait_for("? Help")
    terminal.write(b"\x1b[20~")  # F9
    said = left(terminal, "\x11")  # Ctrl+Q; q is the screen's, which waits
    assert "A part of the app did not end and was left behind" in said and "Traceback" not in said
