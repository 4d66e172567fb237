"""`verify-resume`: the experiment on a tiny project, what it prints, and what it leaves behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from engine.project import Project
from engine.verify.compare import Comparison
from engine.verify.results import Advance, ExperimentEvent, ExperimentResult, Interruption
from tests.support.tiny import RUN, files_below, tiny_project, write_rows
from tui.cli import verify
from tui.cli.main import main

import pytest


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = tiny_project(tmp_path / "project")
    RUN.updated({"gradient_accumulation": 8}).save(project.root / "run.json")  # steps long enough to hit
    return project


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the temporary folder appears."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def call(monkeypatch: pytest.MonkeyPatch, project: Project, *arguments: str) -> int:
    options = ["-C", str(project.root), "verify-resume", "--config", str(project.root / "run.json")]
    monkeypatch.setattr(sys, "argv", ["mqlora-tui", *options, *arguments])
    return main()


@pytest.mark.slow
def test_a_run_that_is_killed_and_paused_ends_in_the_same_bytes(
    project: Project, temporary: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every kind of interruption hits, nothing differs, and the user's project stays as it was."""
    before = files_below(project.root)
    assert call(monkeypatch, project, "--steps", "11", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["identical"] is True and answer["steps"] == 12 and answer["leftovers"] == []
    kinds = {point["kind"] for point in answer["interruptions"] if point["hit"] and point["identical"]}
    assert kinds == {"step", "evaluation", "checkpoint", "pause"}
    assert all(file["identical"] and len(file["straight"]) == 64 for file in answer["files"])
    assert files_below(project.root) == before and not list(temporary.iterdir())


def test_what_training_refuses_is_said_in_its_own_words(
    project: Project, temporary: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence that names the user's line, exit code 1, and no temporary folder."""
    write_rows(project.train_file, [{"promt": "a", "completion": "b"}])
    assert call(monkeypatch, project) == 1
    assert "train.jsonl has no usable row; line 1" in capsys.readouterr().err
    assert not list(temporary.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_in_the_middle_it_takes_everything_with_it(
    project: Project, temporary: Path, number: signal.Signals
) -> None:
    """The temporary folder and the training process in it are gone."""
    arguments = ["-C", str(project.root), "verify-resume", "--config", str(project.root / "run.json")]
    command = [sys.executable, "-m", "tui", *arguments, "--steps", "1000"]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    [lock] = _appeared(temporary, "mqlora-verify-*/straight/checkpoints_qlora/.lock")
    trainer = _owner(lock)
    process.send_signal(number)
    assert process.wait() == 128 + number
    assert not list(temporary.glob("mqlora-verify-*"))  # MLX keeps compiled code beside it
    with pytest.raises(ProcessLookupError):
        os.kill(trainer, 0)


def _appeared(folder: Path, pattern: str) -> list[Path]:
    while not (found := list(folder.glob(pattern))):
        time.sleep(0.02)
    return found


def _owner(lock: Path) -> int:
    while not (content := lock.read_text()):
        time.sleep(0.02)
    return int(json.loads(content)["pid"])


# What it prints

SAME = Comparison("adapters/adapters.safetensors", "a" * 64, "a" * 64, "")
STEP = Interruption("step", 7, True, 1, 6, compared_step=9, identical=True)
MISSED = Interruption("checkpoint", 6, False, 4, 6, compared_step=9, identical=True)
PAUSE = Interruption("pause", 8, True, 2, 8)


def show(monkeypatch: pytest.MonkeyPatch, project: Project, verdict: ExperimentResult) -> int:
    def events(*_arguments: object) -> Iterator[ExperimentEvent]:
        yield Advance(False, 12, 12)
        yield from verdict.interruptions
        yield verdict

    monkeypatch.setattr(verify, "verify", events)
    return call(monkeypatch, project)


def test_an_identical_end_is_reported_with_what_was_hit_and_what_was_not(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A place that was never hit is no evidence, so it is said."""
    assert show(monkeypatch, project, ExperimentResult(12, (STEP, MISSED, PAUSE), (SAME,), ())) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("killed in the middle of step 8; resumed at step 6, 1 step again" in line for line in lines)
    assert any("the writing of a checkpoint was not hit (4 tries)" in line for line in lines)
    assert any(line.startswith("!") and "not compared" in line for line in lines)
    assert lines[-1].startswith("✓ Identical: killed 1 time, paused 1")


def test_a_different_end_is_reported_and_exits_with_1(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the first difference, the checkpoint that differed first, and what was left behind."""
    file = replace(SAME, interrupted="b" * 64, difference="1 of 28 arrays")
    verdict = ExperimentResult(12, (replace(STEP, identical=False),), (file,), (".partial-x",))
    assert show(monkeypatch, project, verdict) == 1
    out = capsys.readouterr().out
    assert "✗ adapters/adapters.safetensors: 1 of 28 arrays" in out and "aaaaaaaaaaaa  bbbbbbbbbbbb" in out
    assert "step 9: different" in out and "✗ left behind: .partial-x" in out
    assert out.splitlines()[-1].startswith("✗ Different")
