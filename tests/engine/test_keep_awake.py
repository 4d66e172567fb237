"""The machine stays awake for the length of a block, with a stand-in for `caffeinate`."""

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path

from engine.hardware import keep_awake as module
from engine.hardware.keep_awake import keep_awake, start_detached

import psutil
import pytest

ROOT = Path(__file__).parents[2]
# Writes pid and arguments in one step, then sleeps as `caffeinate` would; it ends by itself after a minute.
STAND_IN = """#!/bin/sh
{prelude}
printf '%s\\n' $$ "$@" > "{said}.part"
mv "{said}.part" "{said}"
exec sleep 60
"""
TRAINER = """
import signal, sys
from engine.hardware.keep_awake import keep_awake
signal.signal(signal.SIGINT, lambda *_: print("interrupted", flush=True))
with keep_awake("Darwin"):
    print("training", flush=True)
    sys.stdin.read()
"""


class Helper:
    """The stand-in, first on PATH, and what it said when it was started."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "caffeinate"
        self.said = folder / "said"

    def write(self, prelude: str = "") -> None:
        self.path.write_text(STAND_IN.format(prelude=prelude, said=self.said))
        self.path.chmod(0o755)

    def started(self) -> tuple[int, list[str]]:
        """Return its process id and its arguments."""
        wait_until(self.said.exists)
        pid, *arguments = self.said.read_text().splitlines()
        return int(pid), arguments


def wait_until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.01)


def refuse(arguments: list[str]) -> "subprocess.Popen[bytes]":
    raise AssertionError(arguments)


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Helper:
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    found = Helper(tmp_path)
    found.write()
    return found


def test_the_display_may_sleep_and_the_helper_knows_whom_to_wait_for(helper: Helper) -> None:
    """`-is` without `-d`, and our process id after `-w`."""
    with keep_awake("Darwin"):
        _pid, arguments = helper.started()
    assert arguments == ["-is", "-w", str(os.getpid())]


def test_it_lives_as_long_as_the_block_and_leaves_no_zombie(helper: Helper) -> None:
    """A zombie would still have its process id."""
    with keep_awake("Darwin"):
        pid, _arguments = helper.started()
        assert psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    assert not psutil.pid_exists(pid)


def test_it_is_gone_after_an_exception_too(helper: Helper) -> None:
    """The exception goes on unchanged."""
    with pytest.raises(ZeroDivisionError), keep_awake("Darwin"):
        pid, _arguments = helper.started()
        _ = 1 / 0
    assert not psutil.pid_exists(pid)


def test_it_is_gone_when_a_generator_around_it_is_closed(helper: Helper) -> None:
    """Training is a generator that its driver may drop at any event."""

    def training() -> Generator[int, None, None]:
        with keep_awake("Darwin"):
            yield helper.started()[0]

    events = training()
    pid = next(events)
    events.close()
    assert not psutil.pid_exists(pid)


def test_it_is_silent_and_in_a_session_of_its_own(helper: Helper) -> None:
    """No terminal of ours to write to, to read from or to be interrupted by."""
    with keep_awake("Darwin"):
        pid, _arguments = helper.started()
        assert os.getsid(pid) == pid
        if sys.platform == "linux":
            open_files = [os.readlink(f"/proc/{pid}/fd/{number}") for number in range(3)]
            assert open_files == [os.devnull] * 3


def test_ctrl_c_in_the_terminal_does_not_end_it(helper: Helper) -> None:
    """The terminal interrupts every process of the foreground group; training goes on to its checkpoint."""
    trainer = subprocess.Popen(
        [sys.executable, "-c", TRAINER],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a group of its own, which the test is no member of
    )
    assert trainer.stdin and trainer.stdout
    assert trainer.stdout.readline() == "training\n"
    pid, arguments = helper.started()
    os.killpg(trainer.pid, signal.SIGINT)
    assert trainer.stdout.readline() == "interrupted\n"
    assert psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    assert arguments[-1] == str(trainer.pid)
    trainer.communicate("")
    assert trainer.returncode == 0
    assert not psutil.pid_exists(pid)


@pytest.mark.parametrize(("prelude", "end"), [("", signal.SIGTERM), ("trap '' TERM", signal.SIGKILL)])
def test_the_helper_is_asked_to_end_and_killed_only_if_it_will_not(
    helper: Helper, monkeypatch: pytest.MonkeyPatch, prelude: str, end: signal.Signals
) -> None:
    """The end of training never waits for it for long."""
    if end == signal.SIGKILL:
        monkeypatch.setattr(module, "PATIENCE_S", 0.05)
    helper.write(prelude)
    started = []

    def launch(arguments: list[str]) -> "subprocess.Popen[bytes]":
        started.append(start_detached(arguments))
        return started[0]

    with keep_awake("Darwin", launch):
        helper.started()
    assert [child.returncode for child in started] == [-end]


def test_a_helper_that_has_died_is_collected(helper: Helper) -> None:
    """Somebody ended it; training does not notice."""
    with keep_awake("Darwin"):
        pid, _arguments = helper.started()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    assert not psutil.pid_exists(pid)


@pytest.mark.parametrize("mode", [None, 0o644, 0o755])
def test_training_goes_on_without_a_usable_helper(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int | None
) -> None:
    """Missing, not executable, or no program at all."""
    monkeypatch.setenv("PATH", str(tmp_path))
    if mode is not None:
        (tmp_path / "caffeinate").write_bytes(b"\0\0\0\0")
        (tmp_path / "caffeinate").chmod(mode)
        assert stat.S_IMODE((tmp_path / "caffeinate").stat().st_mode) == mode
    trained = False
    with keep_awake("Darwin"):
        trained = True
    assert trained


def test_the_launcher_is_asked_on_macos_only() -> None:
    """Linux servers do not sleep by themselves; a launcher that is called there fails this test."""
    asked: list[list[str]] = []

    def launch(arguments: list[str]) -> "subprocess.Popen[bytes]":
        asked.append(arguments)
        raise FileNotFoundError(arguments[0])

    with keep_awake("Darwin", launch), keep_awake("Linux", refuse):
        assert asked == [["caffeinate", "-is", "-w", str(os.getpid())]]
