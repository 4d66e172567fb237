"""`fit` on the command line: what it prints, and its exit code."""

import json
import sys
from dataclasses import asdict
from typing import Any

from engine.config import TrainingConfig
from engine.dataset.batches.cut import BatchShape
from engine.errors import UserError
from engine.fit.measure import Fit, Measured, OnFitProgress
from engine.memory.predict import MemoryBudget
from engine.profiles import PROFILES, recommend
from engine.project import Project
from tests.support.fake_engine import HOSTILE, hardware_report
from tui.cli.main import main

import pytest

BUDGET = MemoryBudget("gpu", 9_000_000_000, 16_000_000_000)
SHAPE = BatchShape.full(rows=4, length=384, targets=700)
FITS = Fit(True, BUDGET, SHAPE, Measured(4_321_000_000, 5_000_000_000, 1.5, 4_600_000_000, True))
RAN_OUT = Fit(False, BUDGET, SHAPE, None, f"MLX ran out of memory {HOSTILE}")


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[Fit | UserError]:
    """What is found out, one measurement after the other; what was asked goes to `asked`."""
    answers: list[Fit | UserError] = []

    def measure(_project: Project, config: TrainingConfig, on_progress: OnFitProgress) -> Fit:
        on_progress("Loading the base model …")
        answer = answers.pop(0)
        if isinstance(answer, UserError):
            raise answer
        return answer

    monkeypatch.setattr("tui.cli.fit.measure_and_remember", measure)
    advice = recommend(hardware_report(), None, None)
    monkeypatch.setattr("tui.cli.fit.recommendation", lambda _project, _base: advice)
    monkeypatch.setattr("engine.dataset.inspect.sample.sample_report", lambda _project, _config: None)
    return answers


def fit(monkeypatch: pytest.MonkeyPatch, project: Project, *arguments: str) -> int:
    """Run the command and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["mqlora-tui", "-C", str(project.root), "fit", *arguments])
    return main()


def test_what_fits_is_0(
    project: Project, found: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The figures are in the sentence, and what is being done is told meanwhile."""
    found.append(FITS)
    assert fit(monkeypatch, project, "--profile", "SAFE") == 0
    printed = capsys.readouterr().out
    assert "Loading the base model" in printed
    assert "✓ It fits: 4.3 GB measured, 4.6 GB predicted, 9.0 GB free; 4 x 384 tokens in 1.50 s." in printed


def test_what_does_not_fit_is_1(
    project: Project, found: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence on stderr: the reason, harmless, and the nearest settings."""
    found.append(RAN_OUT)
    assert fit(monkeypatch, project, "--profile", "PERFORMANCE") == 1
    said = capsys.readouterr().err
    assert "does not fit: MLX ran out of memory" in said and "\x1b" not in said
    assert "use: --set gradient_checkpointing=on" in said


def test_json_has_every_figure(
    project: Project, found: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One object and nothing else; the nearest configuration is a whole one."""
    found += [FITS, RAN_OUT]
    assert fit(monkeypatch, project, "--profile", "SAFE", "--json") == 0
    assert fit(monkeypatch, project, "--profile", "SAFE", "--json") == 1
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first["fits"] and first["measured"]["peak"] == 4_321_000_000 and first["nearest"] is None
    assert not second["fits"] and second["measured"] is None
    assert first["memory_budget"] == first["room"] == asdict(BUDGET)
    assert TrainingConfig.parse(second["nearest"]).gradient_checkpointing == "on"


def test_all_three_profiles(
    project: Project, found: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line each, what failed included, and the recommended one."""
    found += [FITS, FITS, RAN_OUT]
    assert fit(monkeypatch, project, "--all", "--set", "lora_rank=16") == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in PROFILES)
    assert printed.count("4.3 GB") == 2 and "BALANCED: " in printed


def test_all_three_as_json(
    project: Project, found: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """If none fits the exit code says so."""
    found += [RAN_OUT, RAN_OUT, RAN_OUT]
    assert fit(monkeypatch, project, "--all", "--set", "lora_rank=16", "--json") == 1
    answer = json.loads(capsys.readouterr().out)
    assert list(answer["profiles"]) == list(PROFILES)
    assert answer["recommendation"]["name"] in PROFILES
    nearest = TrainingConfig.parse(answer["profiles"]["BALANCED"]["nearest"])
    assert PROFILES["BALANCED"].items() <= nearest.model_dump().items() and nearest.lora_rank == 16


def test_a_refusal_is_1(
    project: Project, found: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither does a measurement that cannot be made say anything about memory."""
    found.append(UserError("The measurement took longer than 180 s", "close other programs"))
    assert fit(monkeypatch, project, "--profile", "SAFE") == 1
    assert "took longer than 180 s; close other programs." in capsys.readouterr().err


def test_a_profile_and_all_do_not_go_together(
    project: Project, found: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One of them is meant."""
    assert fit(monkeypatch, project, "--all", "--profile", "SAFE") == 2
    assert "give one of them" in capsys.readouterr().err
