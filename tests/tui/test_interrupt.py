"""Whom a pause may be asked of: only the process that really trains."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from engine.project import Project
from engine.training.lock import lock_owner
from tests.support.tiny import owned_by
from tui.run.other_process import ask_to_pause

_HOLDER = """
import fcntl, json, os, socket, sys
lock = open(sys.argv[-1], "w")
fcntl.flock(lock, fcntl.LOCK_EX)
json.dump({"pid": os.getpid(), "host": socket.gethostname()}, lock)
lock.flush()
print("held", flush=True)
sys.stdin.read()
"""


def test_a_planted_pid_is_not_signalled(tmp_path: Path) -> None:
    """Somebody holds the lock in the name of an innocent process, of this user or not."""
    project = Project(tmp_path)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as innocent:
        for pid in (innocent.pid, os.getppid(), 1):
            with owned_by(project, pid):
                owner = lock_owner(project)
                assert owner is not None and owner.pid == pid
                assert not ask_to_pause(project, owner)
        innocent.communicate(b"\n")
    assert innocent.returncode == 0


def test_another_program_that_holds_the_lock_is_not_signalled(tmp_path: Path) -> None:
    """Such as flock(1); and one that only looks like this program has no lock open."""
    project = Project(tmp_path)
    project.run_dir.mkdir()
    other = [sys.executable, "-c", _HOLDER, str(project.lock_file)]
    alike = [sys.executable, "-c", "print('held', flush=True); input()", "-m", "tui"]
    for command in (other, alike):
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None and process.stdout.readline() == "held\n"
            if command is other:
                _refuse(project, process.pid)
            else:
                with owned_by(project, process.pid):
                    _refuse(project, process.pid)
            process.communicate("\n")
        assert process.returncode == 0


def test_the_process_that_trains_is_asked(tmp_path: Path) -> None:
    """It runs this program and holds the lock."""
    project = Project(tmp_path)
    project.run_dir.mkdir()
    command = [sys.executable, "-c", _HOLDER, "-m", "tui", str(project.lock_file)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        owner = lock_owner(project)
        assert owner is not None and owner.pid == process.pid
        assert ask_to_pause(project, owner)
        process.wait()
    assert process.returncode in (-signal.SIGINT, 128 + signal.SIGINT, 1)


def _refuse(project: Project, pid: int) -> None:
    owner = lock_owner(project)
    assert owner is not None and owner.pid == pid
    assert not ask_to_pause(project, owner)
