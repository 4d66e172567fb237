"""A whole run of a tiny model: what is told, and what then lies on disk."""

import csv
import json
from threading import Event as StopEvent

from engine.config import TrainingConfig
from engine.project import Project
from engine.training.checkpoint import load_checkpoint
from engine.training.events import (
    CheckpointSaved,
    Evaluated,
    Event,
    Finished,
    Notice,
    Paused,
    Started,
    StepDone,
)
from engine.training.notices import chance_warning
from engine.training.state import RunState
from engine.training.trainer import Trainer
from tests.support.tiny import RUN, metrics_rows, train

import pytest

SHORT = RUN.updated({"num_epochs": 1})


def test_events_come_in_order(finished: tuple[Project, list[Event]]) -> None:
    """12 steps of 2 epochs, validated every 4, saved every 3 and at each best, both at an epoch's end."""
    events = finished[1]
    names = [type(event).__name__ for event in events if type(event).__name__ != "Phase"]
    assert names[:3] == ["Started", "Evaluated", "CheckpointSaved"] and names[-1] == "Finished"
    assert [e.metrics.step for e in events if isinstance(e, StepDone)] == list(range(1, 13))
    assert [e.step for e in events if isinstance(e, Evaluated)] == [0, 4, 6, 8, 12]
    best = {e.step for e in events if isinstance(e, Evaluated) and e.is_best}
    assert 4 in best
    assert [e.step for e in events if isinstance(e, CheckpointSaved)] == sorted({0, 3, 6, 9, 12} | best)


def test_both_metrics_files_and_the_events_tell_the_same(finished: tuple[Project, list[Event]]) -> None:
    """One line a step, the validation loss on the line of its step."""
    project, events = finished
    rows = [json.loads(line) for line in project.metrics_file.read_text().splitlines()]
    assert rows == [vars(event.metrics) for event in events if isinstance(event, StepDone)]
    with project.metrics_csv.open(newline="") as file:
        table = list(csv.DictReader(file))
    assert table == [{k: "" if v is None else str(v) for k, v in row.items()} for row in rows]
    scored = {e.step: e.val_loss for e in events if isinstance(e, Evaluated) and e.step}
    assert {row["step"]: row["val_loss"] for row in rows if row["val_loss"] is not None} == scored
    assert [row["epoch"] for row in rows] == [0] * 6 + [1] * 6
    assert rows[-1]["loss"] < rows[0]["loss"] - 2


def test_state_config_and_best_adapter_are_those_of_the_run(
    finished: tuple[Project, list[Event]],
) -> None:
    """What another process reads agrees with what was told."""
    project, events = finished
    state, end = RunState.load(project.state_file), events[-1]
    assert state is not None and isinstance(end, Finished)
    scored = [e for e in events if isinstance(e, Evaluated)]
    best = min(scored[1:], key=lambda e: e.val_loss)
    assert (end.best_step, end.best_val_loss, end.reason) == (best.step, best.val_loss, "completed")
    assert (state.status, state.step, state.total_steps, state.best_step) == ("finished", 12, 12, best.step)
    assert state.initial_val_loss == scored[0].val_loss
    assert state.last_checkpoint == "checkpoint_epoch1_step12"
    assert TrainingConfig.load(project.config_file) == RUN
    saved = project.run_dir / f"checkpoint_epoch1_step{best.step}" / "adapters.safetensors"
    assert (project.adapters_dir / "adapters.safetensors").read_bytes() == saved.read_bytes()


def test_a_result_is_on_disk_before_it_is_reported(project: Project) -> None:
    """A reader that hears of a step, a best or a checkpoint finds it."""
    for event in Trainer(project, SHORT, StopEvent()).run():
        if isinstance(event, StepDone):
            assert metrics_rows(project)[-1]["step"] == event.metrics.step
        if isinstance(event, Evaluated) and event.is_best:
            assert (project.adapters_dir / "adapters.safetensors").is_file()
        if isinstance(event, CheckpointSaved):
            assert load_checkpoint(event.path) is not None
            state = RunState.load(project.state_file)
            assert state is not None and state.last_checkpoint == event.path.name


def test_same_seed_same_run_other_seed_another(
    project: Project, finished: tuple[Project, list[Event]]
) -> None:
    """The seed decides everything that is drawn."""
    train(project, SHORT)
    first = metrics_rows(project)
    train(project, SHORT, "restart")
    assert metrics_rows(project) == first
    train(project, SHORT.updated({"seed": 6}), "restart")
    assert metrics_rows(project) != first


def test_rows_that_are_left_out_are_reported(project: Project) -> None:
    """Count, file and lines."""
    lines = project.train_file.read_text().splitlines()
    lines[3] = "{"
    project.train_file.write_text("\n".join(lines))
    events = train(project, SHORT, until=lambda event: isinstance(event, Started))
    (notice,) = [event.message for event in events if isinstance(event, Notice)]
    assert "1 row of train.jsonl is left out (line 4)" in notice
    assert next(event for event in events if isinstance(event, Started)).train_examples == 21


def test_a_pause_waits_for_no_step(project: Project) -> None:
    """A stop that was asked for before the run began saves step 0 and pauses."""
    stop = StopEvent()
    stop.set()
    last = list(Trainer(project, RUN, stop).run())[-1]
    assert isinstance(last, Paused) and last.step == 0


CHANCE = "The base model predicts this data hardly better than chance: is its tokenizer the right one?"


def chances(events: list[Event]) -> list[int]:
    """Return where in a session it is told that the model guesses."""
    return [i for i, event in enumerate(events) if isinstance(event, Notice) and event.message == CHANCE]


def test_a_model_that_guesses_is_reported_once_before_the_first_step(project: Project) -> None:
    """As one with the tokenizer of another; the run goes on, and its later sessions are silent."""
    events = train(project, SHORT, until=lambda event: isinstance(event, StepDone))
    (place,) = chances(events)
    scored, saved = (event for event in events[:place] if isinstance(event, Evaluated | CheckpointSaved))
    assert isinstance(scored, Evaluated) and scored.step == 0 and saved.step == 0
    assert isinstance(events[-1], Paused)
    assert not chances(train(project, SHORT))


@pytest.mark.parametrize(
    ("loss", "vocabulary", "is_near"),
    [(8.89, 49152, True), (2.42, 49152, False), (8.0, 49152, False), (5.5, 320, True), (99.0, None, False)],
)
def test_what_is_near_chance_depends_on_the_vocabulary(
    loss: float, vocabulary: int | None, is_near: bool
) -> None:
    """The loss of guessing is the logarithm of how many tokens there are."""
    assert bool(chance_warning(loss, vocabulary)) == is_near
