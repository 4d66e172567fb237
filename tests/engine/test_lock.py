"""One owner of a run folder, told by the lock that the system drops when its process ends."""

import errno
import json
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from engine.errors import UserError
from engine.files import own_descriptor
from engine.project import Project
from engine.training.lock import lock_owner, run_lock
from engine.training.lock_file import Owner

import pytest

ROOT = Path(__file__).parents[2]
HOLDER = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from engine.project import Project
from engine.training.lock import run_lock
with run_lock(Project(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def holder(project: Project) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(project.root)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_the_owner_is_the_process_that_holds_the_lock(project: Project) -> None:
    """Its pid and host are told to every other process, and nobody can take the lock from it."""
    other = holder(project)
    assert lock_owner(project) == Owner(other.pid, socket.gethostname())
    with pytest.raises(UserError, match=rf"Process {other.pid} on .* is training in"), run_lock(project):
        pass
    other.communicate()
    assert lock_owner(project) is None
    with run_lock(project):
        assert lock_owner(project) == Owner(os.getpid(), socket.gethostname())
    assert lock_owner(project) is None


SUCCESSOR = """
import os, sys
from pathlib import Path
from engine.project import Project
from engine.training.lock import run_lock
project = Project(Path(sys.argv[1]))
if len(sys.argv) == 2:
    with run_lock(project) as held:
        (project.run_dir / "begun").touch()
        held.pass_on()
    os.execv(sys.executable, [sys.executable, "-c", sys.orig_argv[2], sys.argv[1], "again"])
print("in its place", flush=True)
sys.stdin.readline()
with run_lock(project):
    print("held", flush=True)
    sys.stdin.readline()
print("let go", flush=True)
sys.stdin.read()
"""


def test_a_program_that_takes_the_place_of_the_owner_has_its_lock(project: Project) -> None:
    """Nobody else finds the run free in between; at the end it is."""
    command = [sys.executable, "-c", SUCCESSOR, str(project.root)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin and process.stdout
        for said, is_owner in (("in its place", True), ("held", True), ("let go", False)):
            assert process.stdout.readline() == f"{said}\n"
            expected = Owner(process.pid, socket.gethostname()) if is_owner else None
            assert lock_owner(project) == expected, said
            process.stdin.write("\n")
            process.stdin.flush()
        process.stdin.close()


def test_a_killed_owner_leaves_no_lock(project: Project) -> None:
    """The file stays, with the pid of the dead or, after a reboot, of an innocent process."""
    project.run_dir.mkdir()
    (project.run_dir / "kept").touch()
    other = holder(project)
    other.kill()
    other.communicate()
    assert json.loads(project.lock_file.read_text())["pid"] == other.pid
    project.lock_file.write_text(json.dumps({"pid": os.getppid(), "host": socket.gethostname()}))
    assert lock_owner(project) is None
    with run_lock(project):
        assert lock_owner(project) == Owner(os.getpid(), socket.gethostname())


@pytest.mark.parametrize("content", ["", "garbage", "[]", '{"pid": "x"}', "\x00\xff"])
def test_an_owner_without_a_readable_name_is_still_an_owner(project: Project, content: str) -> None:
    """It has not written its name yet, or someone spoilt the file: it must not be sent a signal."""
    with run_lock(project):
        project.lock_file.write_text(content)
        owner = lock_owner(project)
        assert owner == Owner(0, "") and not owner.is_local


def test_a_refused_run_leaves_no_folder(project: Project) -> None:
    """Where there was none before, none is left; a folder with files stays."""
    with run_lock(project):
        pass
    assert not project.run_dir.exists()
    project.run_dir.mkdir()
    with run_lock(project):
        pass
    assert project.run_dir.exists()


def test_looking_does_not_keep_a_run_from_starting(project: Project) -> None:
    """A viewer's look is a shared lock for an instant; a start waits for it."""
    project.run_dir.mkdir()
    for _ in range(200):
        with run_lock(project):
            assert lock_owner(project) is not None
        assert lock_owner(project) is None


def test_a_lock_whose_file_is_gone_is_no_lock(project: Project) -> None:
    """A refused run takes its new folder away; who waited for its lock makes the folder anew and owns it."""
    for _ in range(20):
        refused = run_lock(project)
        refused.__enter__()
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(_own_for_a_moment, project)
            refused.__exit__(None, None, None)
            assert waiting.result() == Owner(os.getpid(), socket.gethostname())


def _own_for_a_moment(project: Project) -> Owner | None:
    with run_lock(project):
        return lock_owner(project)


def test_a_lock_file_that_leads_nowhere_is_refused(project: Project) -> None:
    """Not followed, and not tried for ever."""
    project.run_dir.mkdir()
    project.lock_file.symlink_to(project.root / "nowhere" / "lock")
    with pytest.raises(UserError, match="lock is a link; take that away"), run_lock(project):
        pass


def test_a_run_of_another_user_is_said_to_be_under_way(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lock file may only be read: that the folder cannot be written is not what is in the way."""

    def read_only(path: Path, flags: int) -> int:
        if flags & os.O_RDWR:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return own_descriptor(path, flags)

    other = holder(project)
    monkeypatch.setattr("engine.training.lock_file.own_descriptor", read_only)
    with pytest.raises(UserError, match=rf"Process {other.pid} on .* is training in"), run_lock(project):
        pass
    other.communicate()
    with pytest.raises(UserError, match="Cannot write to"), run_lock(project):
        pass
