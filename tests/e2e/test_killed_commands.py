"""Commands that are killed while they write leave nothing behind, at the latest for the next one."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from engine.project import Project
from tests.support.app_on_pty import wait_until
from tests.support.terminal import LIMIT_S

import pytest

ROOT = Path(__file__).parents[2]
_ROWS = 200_000
"""More than a command writes before it gets a signal."""


def start(project: Project, *arguments: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "tui", "-C", str(project.root), *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def importing(project: Project) -> "subprocess.Popen[bytes]":
    rows = project.root / "rows.jsonl"
    rows.write_text("".join(map(_row, range(_ROWS))))
    return start(project, "import", str(rows))


def cleaning(project: Project) -> "subprocess.Popen[bytes]":
    project.data_dir.mkdir()
    project.train_file.write_text("".join(map(_row, range(_ROWS))) + _row(1))
    project.valid_file.write_text(_row(_ROWS))
    return start(project, "clean")


def _row(number: int) -> str:
    return json.dumps({"prompt": f"What is {number}?", "completion": f"It is {number * 7}."}) + "\n"


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGHUP, marks=pytest.mark.slow), signal.SIGKILL]
)
@pytest.mark.parametrize("begin", [importing, pytest.param(cleaning, marks=pytest.mark.slow)])
def test_nothing_half_written_stays(
    tmp_path: Path, begin: Callable[[Project], "subprocess.Popen[bytes]"], number: signal.Signals
) -> None:
    """A signal to end is heard; after SIGKILL the next command clears up; who still writes is spared."""
    project = Project(tmp_path)
    with begin(project) as process:
        wait_until(lambda: bool(partial(project)) or process.poll() is not None)
        assert process.poll() is None, "it was over before it was interrupted"
        process.send_signal(signal.SIGSTOP)
        before = partial(project)
        with start(project, "profiles") as other:
            other.wait()
        assert partial(project) == before
        process.send_signal(number)
        process.send_signal(signal.SIGCONT)
        code = process.wait(LIMIT_S)
    assert code == (-number if number == signal.SIGKILL else 128 + number)
    if number == signal.SIGKILL:
        with start(project, "profiles") as other:
            other.wait()
    assert partial(project) == []


def partial(project: Project) -> list[str]:
    """Return the names of what is half-written."""
    folders = filter(Path.is_dir, (project.root, project.data_dir))
    return [name for folder in folders for name in os.listdir(folder) if name.startswith(".partial-")]
