"""How a run makes itself noticed: only by what the terminal is known to understand."""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from engine.training.lock_file import Owner
from tests.support.app_on_pty import wait_until
from tests.support.fake_engine import pretend, ready, wait_for
from tests.support.terminal import Terminal
from tests.support.tiny import RUN, tiny_project
from tui.app.app import MqloraApp
from tui.run.status import RunPhase, RunStatus
from tui.terminal.announce import BELL, has_title, notification, notifies_by, title

import psutil
import pytest
from textual.pilot import Pilot

KNOWN = [
    ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "9"),
    ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, "9"),
    ({"TERM": "xterm-kitty"}, "9"),
    ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, "9"),
    ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, "777"),
    ({"TERM": "xterm-ghostty"}, "777"),
    ({"TERM": "foot"}, "777"),
    ({"TERM": "xterm-256color"}, ""),
    ({"TERM": "xterm-256color", "TERM_PROGRAM": "Apple_Terminal"}, ""),
    ({"TERM": "xterm-256color", "WT_SESSION": "1"}, ""),  # takes OSC 9 for commands of ConEmu
    ({"TERM": "tmux-256color", "LC_TERMINAL": "iTerm2"}, ""),
    ({"TERM": "screen", "KITTY_WINDOW_ID": "1"}, ""),
    ({"TERM": "xterm-kitty", "TMUX": "/tmp/tmux"}, ""),
    ({"TERM": "xterm-kitty", "STY": "1.tty"}, ""),
    ({}, ""),
]


@pytest.mark.parametrize(("environment", "number"), KNOWN, ids=lambda each: str(each))
def test_a_notification_only_where_it_is_known(environment: dict[str, str], number: str) -> None:
    """And none that begins as progress does."""
    assert notifies_by(environment) == number
    sent = notification("4;1;50", "a;b", environment)
    assert bool(sent) == bool(number) and not sent.startswith("\x1b]9;4")


def test_hostile_names_send_nothing_else() -> None:
    """What is not ours to send is written out."""
    evil = "\x1b]0;x\x07\x9d\u202e\n"
    for sent in (title(evil), notification(evil, evil, {"TERM": "foot"})):
        assert sent.startswith("\x1b]") and sent.endswith("\x1b\\")
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202e]", sent[2:-2])


def test_a_title_only_where_it_is_known() -> None:
    """Not on a console, which would print it."""
    assert all(has_title({"TERM": term}) for term in ("xterm-256color", "tmux-256color", "foot", "screen"))
    assert not any(has_title({"TERM": term}) for term in ("vt100", "linux", "dumb", "", "eterm-color"))


@pytest.mark.usefixtures("foot")
async def test_an_end_a_pause_and_a_failure_are_told(app: MqloraApp) -> None:
    """Once each; nothing is sent for a start, for a choice of the user's, or while leaving."""
    sent: list[str] = []
    app._send = lambda sequence: sent.append(sequence)  # type: ignore[method-assign]

    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        ends: tuple[RunPhase, ...] = ("finished", "failed", "paused")
        for phase in ends:
            await becomes(pilot, app, "running")
            assert not sent
            await becomes(pilot, app, phase)
            assert sent[0] == BELL and phase in sent[1] and len(sent) == 2
            sent.clear()
        app.change_settings(bell=False, notification=False)
        await becomes(pilot, app, "running")
        await becomes(pilot, app, "finished")
        assert not sent


@pytest.mark.usefixtures("foot")
async def test_the_end_of_a_run_of_another_process_is_told_in_every_place(app: MqloraApp) -> None:
    """Nothing is posted for it; the app looks."""
    sent: list[str] = []
    app._send = lambda sequence: sent.append(sequence)  # type: ignore[method-assign]
    other: Owner | None = None
    app.training.other_process = lambda: other  # type: ignore[method-assign]
    app.training.status = lambda: RunStatus("running" if other else "finished")  # type: ignore[method-assign]

    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        other = Owner(1, "here")
        await wait_for(pilot, lambda: app.run_state.phase == "running")
        assert app.current_mode == "hardware" and not sent
        other = None
        await wait_for(pilot, lambda: len(sent) == 2)
        assert sent[0] == BELL and "finished" in sent[1]


async def becomes(pilot: Pilot[int], app: MqloraApp, phase: RunPhase) -> None:
    """Let the run be in a phase, and wait until the app has seen that."""
    pretend(app, phase, 3)
    await wait_for(pilot, lambda: app.run_state.phase == phase)


@pytest.fixture
def foot(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that shows notifications, whatever the tests run in."""
    for name in ("TMUX", "STY", "ZELLIJ"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "foot")


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """A project with a run of few steps, on a terminal that is WezTerm's."""
    for name in ("TMUX", "STY", "ZELLIJ"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM_PROGRAM", "WezTerm")
    project = tiny_project(tmp_path / "farense")
    RUN.save(project.config_file)
    terminal = Terminal("-C", str(project.root))
    yield terminal
    with suppress(psutil.NoSuchProcess):  # it has ended
        terminal.kill()


@pytest.mark.slow
def test_a_whole_run_on_a_real_terminal(terminal: Terminal) -> None:
    """Title, bell and notification; while nothing happens nothing is sent, and the title goes back."""
    terminal.wait_for("Ready for")
    terminal.press("4")
    terminal.wait_for("Enter Start")
    assert "\x1b[22;2t\x1b]2;○ farense: idle\x1b\\" in terminal.output.decode(errors="replace")
    terminal.press("\r")
    terminal.wait_for("✓ finished")
    wait_until(lambda: b"\x1b]777;notify;mqlora-tui;farense: finished\x1b\\" in terminal.output)
    said = terminal.output.decode(errors="replace")
    assert "\x1b]2;● farense: running\x1b\\" in said and "\x1b]2;✓ farense: finished\x1b\\" in said
    pointer = re.compile(r"\x1b\]22;[a-z]+\a")  # Textual's, of kitty's protocol
    assert pointer.sub("", said).count("\a") == 1 and "]9;" not in said
    terminal.press("q")
    assert terminal.wait() == 0
    last = terminal.output.decode(errors="replace").rpartition("\x1b]2;")[2]
    assert last.startswith("\x1b\\\x1b[23;2t") and "Finished at step 12" in last
