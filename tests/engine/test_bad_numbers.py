"""Loss and gradients that are not finite: skipped, rolled back, stopped with advice."""

import math
from pathlib import Path

from engine.analysis.summary import summarise
from engine.analysis.verdict import judge
from engine.errors import UserError
from engine.project import Project
from engine.training.checkpoint import load_checkpoint
from engine.training.checkpoint_folders import checkpoint_folders
from engine.training.events import CheckpointSaved, Event, Finished, Notice
from engine.training.state import RunState
from tests.campaigns.common import outcome
from tests.campaigns.numbers import BadNumbers
from tests.engine.conftest import copy_of
from tests.support.moments import Moment, step_done
from tests.support.tiny import RUN, metrics_rows, train

import pytest


def train_with(project: Project, bad: BadNumbers, until: Moment = lambda event: False) -> list[Event]:
    """Train; loss and gradients are spoilt where `bad` says so."""

    def follow(event: Event) -> bool:
        bad.at_event(event)
        return until(event)

    with bad.injected():
        return train(project, RUN, until=follow)


def notices(events: list[Event]) -> list[str]:
    return [event.message for event in events if isinstance(event, Notice)]


def test_a_step_with_bad_numbers_is_left_out_and_reported(project: Project) -> None:
    """Its line says so, and the steps after it are fine."""
    events = train_with(project, BadNumbers("nan", frozenset([5])))
    rows = metrics_rows(project)
    assert [row["step"] for row in rows if row["loss"] is None] == [5]
    assert rows[4]["grad_norm"] is None and rows[5]["loss"] is not None
    (text,) = (text for text in notices(events) if text.startswith("Step"))
    assert "Step 5" in text
    assert isinstance(events[-1], Finished)


def test_three_bad_steps_go_back_and_halve_the_learning_rate(project: Project) -> None:
    """From the last checkpoint on, every step once, with half the rate of the schedule."""
    events = train_with(project, BadNumbers("inf", frozenset([5, 6, 7])))
    assert notices(events)[-1] == "Back to step 4 with half the learning rate"
    rows = metrics_rows(project)
    assert [row["step"] for row in rows] == list(range(1, 13))
    assert all(row["loss"] is not None for row in rows)
    for row in rows:
        factor = 1.0 if row["step"] <= 4 else 0.5
        cosine = 0.01 * (1 + math.cos(math.pi * (row["step"] - 1) / 12)) / 2
        assert row["learning_rate"] == pytest.approx(factor * cosine)
    assert isinstance(events[-1], Finished)


def test_half_the_learning_rate_is_not_forgotten(project: Project) -> None:
    """The checkpoint that the run went back to knows it at once, whatever ends the session then."""
    events = train_with(project, BadNumbers("gradient", frozenset([5, 6, 7])), until=went_back)
    assert isinstance(events[-2], CheckpointSaved) and events[-2].step == 4
    checkpoint = load_checkpoint(project.run_dir / "checkpoint_epoch0_step4")
    assert checkpoint is not None and checkpoint.progress.learning_rate_factor == 0.5


def went_back(event: Event) -> bool:
    return isinstance(event, Notice) and event.message.startswith("Back")


@pytest.mark.parametrize("keep", [1, 3])
def test_checkpoints_of_bad_steps_do_not_crowd_out_the_good_one(project: Project, keep: int) -> None:
    """However few are kept: it is there to go back to."""
    config = RUN.updated({"save_every": 1, "eval_every": 0, "keep_checkpoints": keep})
    bad = BadNumbers("nan", frozenset([4, 5, 6]))
    with bad.injected():
        events = train(project, config)
    assert "Back to step 3 with half the learning rate" in notices(events)
    assert isinstance(events[-1], Finished)


def test_numbers_that_stay_bad_end_the_run_with_advice(project: Project) -> None:
    """Half the learning rate was tried; the last good checkpoint stays."""
    steps = frozenset([5, 6, 7])
    with pytest.raises(UserError, match="half the learning rate") as failed:
        train_with(project, BadNumbers("nan", steps, halved=steps))
    assert "learning_rate" in failed.value.fix
    state = RunState.load(project.state_file)
    assert state is not None and state.status == "failed" and "not finite" in state.reason
    assert load_checkpoint(checkpoint_folders(project.run_dir)[0]) is not None


def test_without_a_way_back_the_run_ends_with_advice(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not claim to have tried half the learning rate."""
    monkeypatch.setattr("engine.training.recorder.newest_checkpoint", lambda _folder: (None, []))
    with pytest.raises(UserError, match="no checkpoint before it is left"):
        train_with(project, BadNumbers("nan", frozenset([5, 6, 7])))


def test_a_validation_that_is_not_finite_is_reported_and_is_no_best(project: Project) -> None:
    """Its line has none, and the run goes on."""
    events = train_with(project, BadNumbers("nan", validations=frozenset([4])))
    assert "Step 4: the validation loss is not finite" in notices(events)
    rows = metrics_rows(project)
    assert rows[3]["val_loss"] is None and rows[3]["loss"] is not None and rows[5]["val_loss"] is not None
    assert isinstance(events[-1], Finished) and events[-1].best_step != 4


def test_a_run_whose_last_validations_were_not_finite_is_called_diverged(project: Project) -> None:
    """The trainer's own files tell them from steps without a validation."""
    train_with(project, BadNumbers("nan", validations=frozenset([4, 8, 12])))
    summary = summarise(project)
    assert (summary.failed_validations, summary.failed_at_end) == (3, 2)
    verdict = judge(summary)
    assert verdict.level == "wrong" and "the last 2 validations were not finite" in verdict.headline
    train(project, RUN, "restart")
    assert summarise(project).failed_validations == 0


def test_a_pause_between_bad_steps_does_not_break_the_streak(project: Project) -> None:
    """Two before and one after are three in a row."""
    bad = BadNumbers("nan", frozenset([5, 6, 7]))
    train_with(project, bad, until=step_done(6))
    assert any(map(went_back, train_with(project, bad)))


@pytest.mark.parametrize("pause", [6, 7, 9])
def test_a_pause_does_not_change_where_the_run_goes_back_to(
    project: Project, template: Project, tmp_path: Path, pause: int
) -> None:
    """The pause's own checkpoint is no way back: an uninterrupted run would not have it."""
    config = RUN.updated({"eval_every": 6, "save_every": 5, "keep_checkpoints": 1})
    straight = copy_of(template, tmp_path / "straight")

    def run(where: Project, until: Moment) -> list[Event]:
        bad = BadNumbers("nan", frozenset([8, 9, 10]))

        def follow(event: Event) -> bool:
            bad.at_event(event)
            return until(event)

        with bad.injected():
            events = train(where, config, until=follow)
            return events if isinstance(events[-1], Finished) else [*events, *train(where, config)]

    expected = run(straight, lambda event: False)
    assert "Back to step 6 with half the learning rate" in notices(expected)
    assert "Back to step 6 with half the learning rate" in notices(run(project, step_done(pause)))
    assert outcome(project) == outcome(straight)


def test_what_a_roll_back_finds_damaged_is_reported(project: Project) -> None:
    """A line that is in neither file any more is not silently missing."""
    bad = BadNumbers("nan", frozenset([5, 6, 7]))

    def follow(event: Event) -> bool:
        bad.at_event(event)
        if step_done(6)(event):
            for path in (project.metrics_file, project.metrics_csv):
                lines = path.read_text().splitlines(keepends=True)
                kept = [line for line in lines if not line.startswith(('{"step": 2,', "2,"))]
                path.write_text("".join(kept))
        return False

    with bad.injected():
        events = train(project, RUN, until=follow)
    assert "The metrics of 1 step were damaged and are missing from now on" in notices(events)
