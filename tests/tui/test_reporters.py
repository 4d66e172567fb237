"""How training without the app tells of its events."""

import io
from pathlib import Path

from engine.training.events import Paused, Phase, Started, StepDone, Usage
from tests.support.fake_run import USAGE, metrics
from tui.cli.train_output import BarReporter, JsonReporter, LineReporter

import pytest
from rich.console import Console

STARTED = Started(0, 60, 20, 3, 80, 8, 1_234_567, "toy", "CPU", shapes=7)


def test_lines_tell_the_shapes_and_what_was_spent(capsys: pytest.CaptureFixture[str]) -> None:
    """At the start what is planned, with each step what was met."""
    reporter = LineReporter()
    reporter.show(STARTED)
    reporter.show(StepDone(metrics(1), USAGE))
    text = " ".join(capsys.readouterr().out.split())
    assert "1,234,567 trainable parameters, micro-batches of 7 shapes, CPU" in text
    assert "212 tok/s 1.26 GB padding 25 % 3 batch shapes validation 12 % of the time" in text


def test_lines_leave_out_what_is_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    """A run without a validation so far says nothing about it; one shape is one."""
    LineReporter().show(StepDone(metrics(1), Usage(padding=0.0, shapes=1)))
    assert capsys.readouterr().out.rstrip().endswith("1.26 GB  padding 0 %  1 batch shape")


def test_lines_tell_the_stages_until_the_first_step(capsys: pytest.CaptureFixture[str]) -> None:
    """And of a pause only what is true by then."""
    reporter = LineReporter()
    for phase in (Phase("reaching", total=1), Phase("loading"), Phase("connecting", total=2)):
        reporter.show(phase)
    reporter.pausing()
    before = capsys.readouterr().out
    for part in ("1 machine to answer", "loading model", "1 process to load", "before the first step"):
        assert part in before
    reporter.show(STARTED)
    reporter.show(Phase("validating"))
    reporter.pausing()
    after = capsys.readouterr().out
    assert "validating" not in after and "the step is finished" in after


def test_json_carries_the_figures(capsys: pytest.CaptureFixture[str]) -> None:
    """Beside the metrics of the step."""
    JsonReporter().show(StepDone(metrics(1), USAGE))
    assert '"padding": 0.25, "shapes": 3, "evaluation": 0.125' in capsys.readouterr().out


def test_a_bar_tells_how_far_a_validation_is_and_where_a_pause_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that is validated is told of afterwards, and so never where the validation was given up."""
    drawn = io.StringIO()
    monkeypatch.setattr("tui.cli.train_output.out", Console(file=drawn, width=80))
    for event, told in (
        (Phase("validating", 3, 24), "validating 3/24"),
        (Phase("saving"), "saving"),
        (Paused(1, Path("checkpoint_epoch0_step1")), "paused"),
    ):
        reporter = BarReporter()
        reporter.open()
        reporter.show(event)
        reporter.close()
        assert drawn.getvalue().splitlines()[-1].startswith(told)
