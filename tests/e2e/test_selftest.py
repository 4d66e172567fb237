"""`selftest`: the whole command on a tiny model, what it says where a part fails, and what Ctrl+C leaves."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from engine.project import Project
from engine.selftest.run import PARTS
from tests.support.tiny import files_below, tiny_project
from tui.cli import selftest
from tui.cli.main import main

import psutil
import pytest

BY_ID = {part.id: part for part in PARTS}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return tiny_project(tmp_path / "project")


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the temporary folder appears."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.fixture(autouse=True)
def signals() -> object:
    """The command takes signals over for the rest of its process."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def call(monkeypatch: pytest.MonkeyPatch, project: Project, *arguments: str) -> int:
    options = ["-C", str(project.root), "selftest", "--model", "tiny", *arguments]
    monkeypatch.setattr(sys, "argv", ["mqlora-tui", *options])
    return main()


@pytest.mark.slow
def test_everything_is_tried_and_nothing_stays_behind(
    project: Project, temporary: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each part has figures or a reason, the user's project stays as it was, and the report names nobody."""
    before = files_below(project.root)
    assert call(monkeypatch, project, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    parts = {part["id"]: part for part in answer["parts"]}
    assert list(parts) == [part.id for part in PARTS] and answer["passed"] is True
    assert all(part["value"] or part["detail"] for part in parts.values())
    for name in ("matmul", "model", "run", "pause", "resume", "modes"):
        assert parts[name]["status"] == "ok", parts[name]
    assert "exit code 130, paused" in parts["pause"]["value"]
    assert "no byte differs" in parts["verify"]["value"]
    assert answer["machine"]["mlx"] in answer["report"] and str(Path.home()) not in answer["report"]
    assert files_below(project.root) == before and not list(temporary.iterdir())


def test_a_part_that_fails_is_said_in_words_and_by_the_exit_code(
    project: Project, temporary: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model that cannot be loaded: its run is refused in its own words, what needs the run is skipped."""
    (project.models_dir / "tiny" / "model.safetensors").write_bytes(b"cut off")
    monkeypatch.setattr(selftest, "PARTS", [BY_ID[name] for name in ("model", "run", "resume", "power")])
    assert call(monkeypatch, project) == 1
    lines = capsys.readouterr().out.splitlines()
    failed = next(line for line in lines if line.startswith("✗ Short run"))
    assert "model.safetensors" in failed
    assert any(line.startswith("- Resume") and "no paused run" in line for line in lines)
    assert "1 of 4 failed" in "".join(lines) and "PROJECT" not in failed
    assert str(project.root) not in "".join(lines[lines.index("mqlora-tui selftest") :])
    assert "mqlora-tui selftest" in lines and not list(temporary.iterdir())


def test_a_part_that_takes_too_long_is_said_in_words(
    project: Project, temporary: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No run can end at once; the part is ended and the exit code is 1."""
    late = [BY_ID["model"], *(replace(BY_ID[name], limit_s=0.01) for name in ("run", "pause", "modes"))]
    monkeypatch.setattr(selftest, "PARTS", late)
    assert call(monkeypatch, project, "--json") == 1
    answer = json.loads(capsys.readouterr().out)
    assert [part["detail"] for part in answer["parts"][1:]] == ["It did not end within 0.01 s"] * 3
    assert answer["passed"] is False and not list(temporary.iterdir())


def test_a_model_that_is_not_there_is_refused(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is tried."""
    monkeypatch.setattr(sys, "argv", ["mqlora-tui", "-C", str(project.root), "selftest", "--model", "none"])
    assert main() == 1
    assert "none" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("number", "before"),
    [(signal.SIGINT, "Base model"), pytest.param(signal.SIGTERM, "Short run", marks=pytest.mark.slow)],
)
def test_stopped_in_the_middle_it_takes_everything_with_it(
    project: Project, temporary: Path, number: signal.Signals, before: str
) -> None:
    """The child that trains, its supervisor and the temporary folder are gone."""
    command = [sys.executable, "-m", "tui", "-C", str(project.root), "selftest", "--model", "tiny"]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if before in line:  # what trains is next, after the short run on a terminal
                break
        family = _family(process.pid)
        process.send_signal(number)
        process.send_signal(number)  # while it tidies up
        assert process.wait() == 128 + number
    for member in family:  # an orphan is taken off the list a moment after its end
        member.wait()
    assert not list(temporary.glob("mqlora-selftest-*"))  # MLX keeps compiled code beside it


def _family(pid: int) -> list[psutil.Process]:
    """Return the processes that a process has started, once there is one."""
    family: list[psutil.Process] = []
    while not family:
        time.sleep(0.02)
        family = psutil.Process(pid).children(recursive=True)
    return family
