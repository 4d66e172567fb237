"""From nothing to a trained adapter on the built-in 135M model, by the command line alone."""

import json
import sys
from pathlib import Path

from engine.project import Project
from engine.training.state import RunState
from tui.cli.main import main

import pytest

pytestmark = [pytest.mark.model, pytest.mark.xdist_group("model")]


def mqlora(monkeypatch: pytest.MonkeyPatch, project: Project, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["mqlora-tui", "-C", str(project.root), *arguments])
    return main()


def keep_rows(path: Path, count: int) -> None:
    path.write_text(
        "".join(path.read_text(encoding="utf-8").splitlines(keepends=True)[:count]), encoding="utf-8"
    )


@pytest.mark.slow
def test_from_demo_to_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """demo, train, chat and report work on a real quantised model, and it learns."""
    project = Project(tmp_path)
    assert mqlora(monkeypatch, project, "demo") == 0
    keep_rows(project.train_file, 24)
    keep_rows(project.valid_file, 6)
    assert mqlora(monkeypatch, project, "train", "--profile", "PERFORMANCE", "--set", "num_epochs=1") == 0
    state = RunState.load(project.state_file)
    assert state is not None and state.status == "finished" and state.step == 6
    assert state.best_val_loss is not None and state.initial_val_loss is not None
    assert state.best_val_loss < 0.9 * state.initial_val_loss
    capsys.readouterr()
    assert mqlora(monkeypatch, project, "chat", "--prompt", "Qual é a capital de Portugal?",
                  "--max-tokens", "8", "--json") == 0  # fmt: skip
    assert json.loads(capsys.readouterr().out)["adapter"] is True
    assert mqlora(monkeypatch, project, "report") == 0
    assert "smollm2-135m-instruct-4bit" in capsys.readouterr().out
