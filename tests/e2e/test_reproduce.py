"""`reproduce`: the run of a receipt made again, on the command line."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from engine.project import Project
from engine.training.events import StepDone
from tests.support.tiny import tiny_project, train
from tui.cli.main import main

import pytest

COMMAND = ("mqlora-tui", "-C")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a finished run."""
    project = tiny_project(tmp_path_factory.mktemp("made") / "project")
    train(project)
    return project


def told(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str
) -> tuple[int, list[dict[str, Any]]]:
    """Run `reproduce` in this process; return its exit code and what it printed."""
    command = [*COMMAND, str(project.root), "reproduce", *arguments, "--json"]
    monkeypatch.setattr(sys, "argv", command)
    code = main()
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_run_of_a_receipt_is_made_again(
    made: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In another project with the same data and model: the same bytes; a changed figure is seen."""
    project = Project(tmp_path / "other")
    shutil.copytree(made.models_dir, project.models_dir)
    shutil.copytree(made.data_dir, project.data_dir)
    code, lines = told(project, capsys, monkeypatch, str(made.receipt_file), "--yes")
    assert code == 0 and lines[0] == {"event": "differences", "differences": []}
    assert lines[-1]["event"] == "compared" and lines[-1]["agreement"] == "same_bytes"
    assert project.receipt_file.read_bytes() == made.receipt_file.read_bytes()
    values = json.loads(made.receipt_file.read_text())
    values["adapter"] = values["last_adapter"] = "0" * 64
    values["losses"]["last"] += 1
    (tmp_path / "receipt.json").write_text(json.dumps(values))
    code, lines = told(project, capsys, monkeypatch, str(tmp_path / "receipt.json"), "--compare")
    assert code == 1 and lines[-1]["agreement"] == "different"


def test_other_data_are_refused_and_nothing_is_touched(
    made: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What differs is named; the run that is here stays."""
    project = Project(tmp_path / "other")
    shutil.copytree(made.root, project.root)
    receipt = str(made.receipt_file)
    code, lines = told(project, capsys, monkeypatch, receipt)
    assert code == 1 and "--yes" in lines[-1]["error"]["fix"]
    with project.train_file.open("a") as file:
        file.write("\n")
    code, lines = told(project, capsys, monkeypatch, receipt, "--yes")
    assert code == 1 and lines[-1]["error"]["problem"].endswith("not the receipt's: train.jsonl")
    assert project.receipt_file.read_bytes() == made.receipt_file.read_bytes()


@pytest.mark.slow
def test_an_unfinished_run_of_the_receipt_goes_on(
    made: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paused at the third step; what it did is kept, and that is said. Another run goes to the archive."""
    project = Project(tmp_path / "other")
    shutil.copytree(made.models_dir, project.models_dir)
    shutil.copytree(made.data_dir, project.data_dir)
    train(project, until=lambda event: isinstance(event, StepDone) and event.metrics.step == 3)
    monkeypatch.setattr(
        sys, "argv", [*COMMAND, str(project.root), "reproduce", str(made.receipt_file), "--yes"]
    )
    assert main() == 0
    printed = capsys.readouterr()
    assert "The unfinished run of this receipt goes on." in printed.err and "same bytes" in printed.out
    assert not (project.run_dir / "archive").exists()
    assert main() == 0
    assert "The run that is here goes to " in capsys.readouterr().err
    assert len(list((project.run_dir / "archive").iterdir())) == 1
