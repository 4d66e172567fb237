"""Chat on a real terminal ends when it is told to, also while native code reads or loads."""

import re
import signal
import sys

from engine.project import Project
from tests.support.terminal import Terminal

import pytest

ALT_SCREEN_OFF = b"\x1b[?1049l"
LONG = "Quanto é 3 mais 4? " * 5000
"""Takes the tiny model minutes; nearly as long as an argument may be."""
STUCK = """
import hashlib, sys
def load(*_arguments):
    print("loading now", file=sys.stderr)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)  # native code that nothing interrupts
"""
STUCK_COMMAND = f"""{STUCK}
from engine.chat import ChatSession
from tui.cli.main import main
ChatSession.__init__ = load
sys.exit(main())
"""
STUCK_APP = f"""{STUCK}
from pathlib import Path
from engine.project import Project
from tui.app.run import run_app
from tui.app.screens.chat.chat import ChatScreen
ChatScreen.create_session = staticmethod(load)
sys.exit(run_app(Project(Path(sys.argv[1]))))
"""


def program(code: str, *arguments: str) -> Terminal:
    return Terminal(*arguments, command=(sys.executable, "-c", code))


def wait_until_reading(terminal: Terminal) -> None:
    """Until the first portions are read; before, MLX asks for a compiler with `system()`.

    That throws away a Ctrl+C which has come in the very instant before.
    """
    terminal.wait_until(lambda: re.search("reading the question: [1-9]", terminal.text), "progress")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_reading_of_a_long_prompt(project: Project, number: signal.Signals) -> None:
    """With the usual exit code, and the terminal as it was."""
    terminal = Terminal("-C", str(project.root), "chat", "--prompt", LONG)
    wait_until_reading(terminal)
    terminal.signal(number)
    assert terminal.wait() == 128 + number
    assert terminal.attributes() == terminal.first_attributes


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_loading_of_a_model(project: Project, number: signal.Signals) -> None:
    """There is nothing to lose, so nobody waits for it."""
    terminal = program(STUCK_COMMAND, "-C", str(project.root), "chat", "--prompt", "um")
    terminal.wait_for("loading now")
    terminal.signal(number)
    assert terminal.wait() == 128 + number


def test_ctrl_c_ends_a_reply_then_the_conversation(project: Project) -> None:
    """A line longer than terminals take by themselves is asked whole; the next question can be asked."""
    terminal = Terminal("-C", str(project.root), "chat")
    terminal.wait_for("> ")
    terminal.press(f"\x1b[200~{LONG}\x1b[201~\r")
    wait_until_reading(terminal)
    terminal.press("\x03")
    terminal.wait_for("so the question is left out")
    terminal.wait_until(lambda: terminal.text.rstrip().endswith(">"), "a prompt")
    terminal.press("\x03")
    assert terminal.wait() == 128 + signal.SIGINT
    assert terminal.attributes() == terminal.first_attributes


@pytest.mark.parametrize("in_reply", [True, False])
def test_sigterm_ends_a_conversation(project: Project, in_reply: bool) -> None:
    """Whatever it is doing."""
    terminal = Terminal("-C", str(project.root), "chat")
    terminal.wait_for("> ")
    if in_reply:
        terminal.press(f"\x1b[200~{LONG}\x1b[201~\r")
        wait_until_reading(terminal)
    terminal.signal(signal.SIGTERM)
    assert terminal.wait() == 128 + signal.SIGTERM
    assert terminal.attributes() == terminal.first_attributes


def app_while_loading(project: Project) -> Terminal:
    terminal = program(STUCK_APP, str(project.root))
    terminal.wait_for("Ready for")
    terminal.press("5")
    terminal.wait_for("Ask something")
    terminal.press("um\r")
    terminal.wait_for("Esc stops it")
    return terminal


def test_the_app_is_left_while_a_model_is_loaded(project: Project) -> None:
    """Neither the app nor the interpreter waits for it; the terminal is put right."""
    terminal = app_while_loading(project)
    terminal.press("\x11")
    assert terminal.wait() == 0
    assert ALT_SCREEN_OFF in terminal.output and terminal.attributes() == terminal.first_attributes


def test_sigterm_ends_the_app_while_a_model_is_loaded(project: Project) -> None:
    """With its exit code and the terminal as before."""
    terminal = app_while_loading(project)
    terminal.signal(signal.SIGTERM)
    assert terminal.wait() == 128 + signal.SIGTERM
    assert ALT_SCREEN_OFF in terminal.output and terminal.attributes() == terminal.first_attributes
