"""Single keys of a command, as a terminal sends them."""

import os
import pty
from collections.abc import Iterator
from pathlib import Path

from engine.project import Project
from tests.support.running_state import PID, running
from tui.supervisor.death import Death
from tui.supervisor.restart import RestartPolicy
from tui.terminal.keys import single_keys

import pytest


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The other end of a terminal that is the standard input."""
    master, slave = pty.openpty()
    with os.fdopen(slave) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        yield master
    os.close(master)


def test_the_code_of_a_key_is_one_key(keyboard: int) -> None:
    """Escape is a key of its own where nothing follows it."""
    with single_keys() as next_key:
        keys = ["a", "\x1b[A", "\x1bOP", "\x1b[1;5D", "q", "\x1b[5~", "\x1b"]
        os.write(keyboard, "".join(keys).encode())
        assert [next_key(20) for _key in keys] == keys


@pytest.mark.parametrize(("typed", "goes_on"), [(b"\x1b[A\x1b[Br", True), (b"r", True), (b"\x1b", False)])
def test_an_arrow_key_does_not_leave_a_crashed_run(
    tmp_path: Path, keyboard: int, monkeypatch: pytest.MonkeyPatch, typed: bytes, goes_on: bool
) -> None:
    """Escape does."""
    project = Project(tmp_path)
    project.run_dir.mkdir()
    running(project, "checkpoint_epoch0_step6")
    monkeypatch.setattr("tui.supervisor.restart.is_foreground", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    os.write(keyboard, typed)
    assert (RestartPolicy(project.root, ()).decide(Death(PID, 9, None, "")) is not None) == goes_on
