"""`history`: what it prints for people and as JSON."""

import json
import sys
from pathlib import Path

from engine.project import Project
from engine.runs.note import write_note
from engine.runs.places import archived
from tests.engine.test_runs import LOSSES, past_run
from tests.support.run_files import write_run
from tui.cli.main import main

import pytest


def told(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *options: str
) -> str:
    """Run the command and return what it printed."""
    monkeypatch.setattr(sys, "argv", ["mqlora-tui", "-C", str(root), "history", *options])
    assert main() == 0
    return capsys.readouterr().out


def test_runs_are_told_with_what_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line each, none longer than the terminal is wide; what has no room in it comes below."""
    assert "No run in" in told(tmp_path, monkeypatch, capsys)
    project = write_run(tmp_path, LOSSES, {40: 2.3})
    place = past_run(project, "2026-01-31_120000_123456", 10.0, learning_rate=3e-4, lora_rank=16)
    past_run(project, "second", 5.0, learning_rate=1e-3, lora_rank=4)
    write_note(place.project, "higher \x1b[31m rate")
    archived(project, "empty").folder.mkdir()
    text = told(tmp_path, monkeypatch, capsys)
    lines = text.splitlines()
    row = next(line for line in lines if "2026-01-31_120000 " in line)
    assert "3e-4" in row and "2.30" in row and "█" in row and max(map(len, lines[:5])) <= 80
    assert "2026-01-31_120000_123456: lora_rank 16" in text and "note: higher \\x1b[31m rate" in text
    assert "✗ empty: The folder is empty." in text and "\x1b" not in text


def test_json_has_all_that_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One object; null stands for what nothing tells."""
    past_run(Project(tmp_path), "a", learning_rate=3e-4)
    archived(Project(tmp_path), "empty").folder.mkdir()
    found = json.loads(told(tmp_path, monkeypatch, capsys, "--json"))
    runs = {run["name"]: run for run in found["runs"]}
    assert found["differing_settings"] == [] and runs["empty"]["problem"] == "The folder is empty"
    assert runs["a"]["settings"]["learning_rate"] == 3e-4 and runs["a"]["best_val_loss"] == 2.3
    assert runs["empty"]["settings"] is None and runs["empty"]["steps"] is None
    assert runs["a"]["origin"]["data"] is None and len(runs["a"]["curve"]) <= 16
