"""Terminals unlike others: GNU screen, and one that cannot place its cursor."""

import os
import pty
import shlex
import shutil
import sys
import termios
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from engine.errors import UserError
from engine.project import Project
from tests.support.terminal import Terminal
from tui.terminal.gnu_screen import require_utf8

import pytest

ENV = shutil.which("env") or ""
SCREEN = shutil.which("screen") or ""
APP = shlex.join((sys.executable, "-m", "tui"))
NOT_TOLD = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGWINCH})
os.execv(sys.executable, [sys.executable, "-m", "tui", *sys.argv[1:]])
"""
"""Starts the app without the signal of a new size."""


@pytest.fixture
def line() -> Iterator[tuple[int, int]]:
    """A terminal's two ends: that of a person, and that of a program."""
    ends = pty.openpty()
    yield ends
    for end in ends:
        os.close(end)


@pytest.mark.parametrize("answer", ["\x1b[1;2R", "\x1b[24;2R"])
def test_a_window_that_takes_a_letter_for_one_is_fine(line: tuple[int, int], answer: str) -> None:
    """Wherever the line is; and its settings are put back."""
    before = termios.tcgetattr(line[1])
    os.write(line[0], answer.encode())
    require_utf8(line[1])
    assert termios.tcgetattr(line[1]) == before


def test_a_window_that_takes_a_letter_for_two_is_refused(line: tuple[int, int]) -> None:
    """With the command that mends it."""
    os.write(line[0], b"\x1b[1;3R")
    with pytest.raises(UserError) as refused:
        require_utf8(line[1])
    assert "screen -X utf8 on on" in refused.value.fix


def _has_keys_in(terminal: Terminal, row: int) -> bool:
    return "q Quit" in terminal.text.splitlines()[row - 1]


def test_a_new_size_is_seen_though_its_signal_came_too_soon(project: Project) -> None:
    """Linux sends it before the size is the new one."""
    terminal = Terminal("-C", str(project.root), command=(sys.executable, "-c", NOT_TOLD))
    terminal.wait_for("q Quit")
    for columns, rows in ((120, 40), (100, 30), (80, 24)):
        terminal.resize(columns, rows)
        terminal.wait_until(partial(_has_keys_in, terminal, rows), "the keys in the last row")
    terminal.write(b"q")
    assert terminal.wait() == 0


@pytest.mark.slow
def test_a_terminal_that_cannot_place_its_cursor_is_refused(project: Project) -> None:
    """TERM=dumb, as in an editor's shell."""
    terminal = Terminal("-C", str(project.root), command=(ENV, "TERM=dumb", sys.executable, "-m", "tui"))
    assert terminal.wait() == 1
    assert "TERM=xterm-256color" in terminal.text and b"\x1b[?1049h" not in terminal.output


@pytest.mark.slow
@pytest.mark.skipif(not SCREEN, reason="GNU screen is not installed")
@pytest.mark.parametrize("locale", ["C.UTF-8", "C"])
def test_the_app_in_gnu_screen(project: Project, tmp_path: Path, locale: str) -> None:
    """Escape is a key there too; a window without UTF-8 is refused until the named command has been given."""
    (tmp_path / "s").mkdir(0o700)
    environment = (f"SCREENDIR={tmp_path / 's'}", f"LANG={locale}", f"LC_ALL={locale}")
    app = f"{APP} -C {shlex.quote(str(project.root))}"
    refused = "" if locale == "C.UTF-8" else f"{app}; read line; {SCREEN} -X utf8 on on;"
    terminal = Terminal(command=(ENV, *environment, SCREEN, "-c", "/dev/null", "sh", "-c", refused + app))
    if refused:
        terminal.wait_for("screen -X utf8 on on")
        terminal.press("\r")
    terminal.wait_for("Ready for")
    terminal.press("\x10")
    terminal.wait_for("Where to?")
    terminal.press("\x1b")
    terminal.wait_until(lambda: "Where to?" not in terminal.text, "the end of the list")
    terminal.press("q")
    assert terminal.wait() == 0
