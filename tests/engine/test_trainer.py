"""Whole runs of a tiny model: what is told, what lies on disk, and when a run is refused."""

import csv
import errno
import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event as StopEvent
from typing import Any

from engine.backend import mx
from engine.config import TrainingConfig
from engine.errors import UserError
from engine.project import Project
from engine.training import loop
from engine.training.checkpoint import checkpoint_folders, checkpoint_step, load_checkpoint
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
from engine.training.loss import LossFunction, make_loss
from engine.training.state import RunState
from engine.training.trainer import Trainer
from tests.tiny import RUN, files_below, metrics_rows, tiny_project, train, write_model

import pytest

ROOT = Path(__file__).parents[2]
SHORT = RUN.updated({"num_epochs": 1})


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that is only ever copied."""
    return tiny_project(tmp_path_factory.mktemp("template"))


@pytest.fixture
def project(template: Project, tmp_path: Path) -> Project:
    shutil.copytree(template.root, tmp_path / "project")
    return Project(tmp_path / "project")


@pytest.fixture(scope="module")
def finished(template: Project, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, list[Event]]:
    """A run from its beginning to its end, not to be changed."""
    root = tmp_path_factory.mktemp("finished") / "project"
    shutil.copytree(template.root, root)
    return Project(root), train(Project(root))


def is_step(number: int) -> Callable[[Event], bool]:
    return lambda event: isinstance(event, StepDone) and event.metrics.step == number


def snapshot(project: Project) -> dict[str, bytes]:
    """Every file of the run, the lock's empty file aside."""
    return {k: v for k, v in files_below(project.root).items() if not k.endswith(".lock")}


# --- a run from beginning to end ---


def test_events_come_in_order(finished: tuple[Project, list[Event]]) -> None:
    """12 steps of 2 epochs, validated every 4 and saved every 3 steps and at each epoch's end."""
    events = finished[1]
    told = [type(event).__name__ for event in events if type(event).__name__ != "Phase"]
    assert told[:3] == ["Started", "Evaluated", "CheckpointSaved"] and told[-1] == "Finished"
    assert [e.metrics.step for e in events if isinstance(e, StepDone)] == list(range(1, 13))
    assert [e.step for e in events if isinstance(e, Evaluated)] == [0, 4, 6, 8, 12]
    assert [e.step for e in events if isinstance(e, CheckpointSaved)] == [0, 3, 6, 9, 12]


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


def test_a_result_is_on_disk_before_it_is_told(project: Project) -> None:
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


# --- validation decides ---


def scripted(monkeypatch: pytest.MonkeyPatch, losses: list[float]) -> None:
    """Make the validations give these losses, one after the other."""
    script = iter(losses)

    def evaluate(*_args: Any) -> Iterator[tuple[int, float]]:
        yield 1, next(script)

    monkeypatch.setattr(loop, "evaluate", evaluate)


@pytest.mark.parametrize(("keep", "kept"), [(1, [12, 4]), (2, [12, 10, 4]), (9, [12, 10, 8, 6, 4, 2, 0])])
def test_the_newest_checkpoints_and_the_best_are_kept(
    project: Project, monkeypatch: pytest.MonkeyPatch, keep: int, kept: list[int]
) -> None:
    """A lower validation loss makes a checkpoint stay, however old."""
    scripted(monkeypatch, [9.0, 3.0, 1.0, 2.0, 2.0, 2.0, 2.0])
    end = train(project, RUN.updated({"eval_every": 2, "save_every": 2, "keep_checkpoints": keep}))[-1]
    assert isinstance(end, Finished) and (end.best_step, end.best_val_loss) == (4, 1.0)
    assert [checkpoint_step(folder) for folder in checkpoint_folders(project.run_dir)] == kept
    best = project.run_dir / "checkpoint_epoch0_step4" / "adapters.safetensors"
    assert (project.adapters_dir / "adapters.safetensors").read_bytes() == best.read_bytes()


@pytest.mark.parametrize(
    ("losses", "step", "reason"),
    [
        ([9.0, 3.0, 4.0, 3.0], 6, "early_stopping"),
        ([9.0, 3.0, 4.0, 2.0, 5.0, math.nan], 10, "early_stopping"),
        ([1.0, 6.0, 7.0, 5.0, 6.0, 4.0, 5.0], 12, "completed"),
        ([1.0, 0.0, 0.0, 0.0], 6, "early_stopping"),
    ],
)
def test_a_run_ends_when_validations_stop_improving(
    project: Project, monkeypatch: pytest.MonkeyPatch, losses: list[float], step: int, reason: str
) -> None:
    """Two validations without a new best; the first score, before training, is no best."""
    scripted(monkeypatch, losses)
    config = RUN.updated({"eval_every": 2, "save_every": 0, "early_stopping_patience": 2})
    end = train(project, config)[-1]
    assert isinstance(end, Finished) and (end.step, end.reason) == (step, reason)
    assert load_checkpoint(checkpoint_folders(project.run_dir)[0]) is not None
    assert checkpoint_step(checkpoint_folders(project.run_dir)[0]) == step


def test_a_run_killed_just_before_it_ends_early_makes_no_further_step(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Patience that ran out before the last checkpoint has run out after it."""
    scripted(monkeypatch, [9.0, 3.0, 4.0, 4.0])
    config = RUN.updated({"eval_every": 2, "save_every": 2, "early_stopping_patience": 2})
    run = Trainer(project, config, StopEvent()).run()
    for event in run:
        if isinstance(event, CheckpointSaved) and event.step == 6:
            break
    run.close()  # type: ignore[attr-defined]
    end = train(project, config)[-1]
    assert isinstance(end, Finished) and (end.step, end.reason) == (6, "early_stopping")
    assert len(metrics_rows(project)) == 6


# --- refusals ---


def changed_data(project: Project) -> None:
    project.train_file.write_text(project.train_file.read_text() + "\n")


def changed_weights(project: Project) -> None:
    shutil.rmtree(project.models_dir / "tiny")
    write_model(project.models_dir / "tiny", rope_theta=500.0)


def changed_template(project: Project) -> None:
    (project.models_dir / "tiny" / "chat_template.jinja").write_text("{{ messages[0]['content'] }}")


@pytest.mark.parametrize(
    ("change", "config", "words"),
    [
        (lambda project: None, RUN.updated({"learning_rate": 0.02, "seed": 1}), "learning_rate 0.01 -> 0.02"),
        (lambda project: None, RUN.updated({"learning_rate": 0.02, "seed": 1}), "seed 5 -> 1"),
        (changed_data, RUN, "data files have changed"),
        (changed_weights, RUN, "base model has changed"),
        (changed_template, RUN, "base model has changed"),
    ],
)
def test_a_run_is_not_resumed_with_other_ingredients(
    project: Project, change: Callable[[Project], None], config: TrainingConfig, words: str
) -> None:
    """The difference is shown and nothing is touched."""
    train(project, until=is_step(1))
    change(project)
    before = snapshot(project)
    with pytest.raises(UserError, match=words) as refused:
        train(project, config)
    assert "--restart" in refused.value.fix
    assert snapshot(project) == before


def broken(project: Project, name: str) -> None:
    target = {"valid": project.valid_file, "tokenizer": project.models_dir / "tiny" / "tokenizer.json"}
    target.get(name, project.models_dir / "tiny" / "model.safetensors").write_text("{}\n")


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("name", ["valid", "tokenizer", "weights"])
def test_a_refused_run_leaves_everything_as_it_was(project: Project, begun: bool, name: str) -> None:
    """Neither a new folder nor a changed file, nor an archived run when a restart is refused."""
    if begun:
        train(project, until=is_step(1))
    broken(project, name)
    before = snapshot(project)
    with pytest.raises(UserError) as refused:
        train(project, RUN, "restart")
    assert refused.value.fix
    assert snapshot(project) == before
    assert project.run_dir.exists() == begun


def test_a_finished_run_is_not_trained_further(
    finished: tuple[Project, list[Event]],
) -> None:
    """Neither on its own nor by asking to resume."""
    before = snapshot(finished[0])
    for mode in ("auto", "resume"):
        with pytest.raises(UserError, match="finished"):
            train(finished[0], RUN, mode)  # type: ignore[arg-type]
    assert snapshot(finished[0]) == before


def test_there_must_be_a_run_to_resume(project: Project) -> None:
    """Asked to resume, a run never begins."""
    with pytest.raises(UserError, match="no run to resume"):
        train(project, RUN, "resume")
    assert not project.run_dir.exists()


def test_a_restart_keeps_every_file_of_the_old_run(project: Project) -> None:
    """All of it moves to the archive, the configuration included."""
    train(project, SHORT)
    before = files_below(project.run_dir)
    train(project, SHORT.updated({"seed": 9}), "restart", until=is_step(1))
    (archived,) = (project.run_dir / "archive").iterdir()
    kept = files_below(archived)
    assert {k: v for k, v in before.items() if not k.startswith(".")} == kept
    assert TrainingConfig.load(project.config_file).seed == 9
    assert [row["step"] for row in metrics_rows(project)] == [1]


LOCKED = """
import sys
from pathlib import Path
from engine.errors import UserError
from engine.project import Project
from engine.training.lock import run_lock
try:
    with run_lock(Project(Path(sys.argv[1]))):
        print("free")
except UserError as error:
    print(error)
"""


def test_one_process_owns_a_run(project: Project) -> None:
    """While a run goes on a second process is refused and told where to look; afterwards it is free."""

    def second() -> str:
        command = [sys.executable, "-c", LOCKED, str(project.root)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    run = Trainer(project, SHORT, StopEvent()).run()
    next(event for event in run if isinstance(event, StepDone))
    state = RunState.load(project.state_file)
    assert state is not None
    answer = second()
    assert str(state.pid) in answer and "monitor" in answer
    with pytest.raises(UserError, match="is training in"):
        train(project, SHORT)
    run.close()  # type: ignore[attr-defined]
    assert second() == "free\n"


def test_rows_that_are_left_out_are_told(project: Project) -> None:
    """Count, file and lines."""
    lines = project.train_file.read_text().splitlines()
    lines[3] = "{"
    project.train_file.write_text("\n".join(lines))
    events = train(project, SHORT, until=lambda event: isinstance(event, Started))
    (notice,) = [event.message for event in events if isinstance(event, Notice)]
    assert "1 rows of train.jsonl" in notice and "lines 4" in notice
    assert next(event for event in events if isinstance(event, Started)).train_examples == 21


# --- numbers that are not finite ---


class BadNumbers:
    """A loss that is not finite while `on` is set and the model trains."""

    on = False

    def make(self, model: Any) -> LossFunction:
        loss = make_loss(model)

        def wrapped(model: Any, *arrays: mx.array) -> mx.array:
            value = loss(model, *arrays)
            return value * math.nan if self.on and model.training else value

        return wrapped


@pytest.fixture
def bad(monkeypatch: pytest.MonkeyPatch) -> BadNumbers:
    numbers = BadNumbers()
    monkeypatch.setattr("engine.training.trainer.make_loss", numbers.make)
    return numbers


def train_with(bad: BadNumbers, project: Project, begin: int, end: Callable[[Event], bool]) -> list[Event]:
    """Train; the loss is bad after step `begin` until `end` is true for an event."""
    events: list[Event] = []
    for event in Trainer(project, RUN, StopEvent()).run():
        bad.on |= is_step(begin)(event) and not any(map(is_step(begin), events))
        events.append(event)
        if bad.on and end(event):
            bad.on = False
    return events


def test_a_step_with_bad_numbers_is_left_out_and_told(bad: BadNumbers, project: Project) -> None:
    """Its line says so, and the steps after it are fine."""
    events = train_with(bad, project, 4, is_step(5))
    rows = metrics_rows(project)
    assert [row["step"] for row in rows if row["loss"] is None] == [5]
    assert rows[4]["grad_norm"] is None and rows[5]["loss"] is not None
    (notice,) = [event for event in events if isinstance(event, Notice)]
    assert notice.level == "warning" and "Step 5" in notice.message
    assert isinstance(events[-1], Finished)


def test_three_bad_steps_go_back_and_halve_the_learning_rate(bad: BadNumbers, project: Project) -> None:
    """From the last checkpoint on, every step once, with half the rate of the schedule."""
    events = train_with(
        bad, project, 4, lambda event: isinstance(event, Notice) and "Back to step 3" in event.message
    )
    rows = metrics_rows(project)
    assert [row["step"] for row in rows] == list(range(1, 13))
    assert all(row["loss"] is not None for row in rows)
    for row in rows:
        factor = 1.0 if row["step"] <= 3 else 0.5
        cosine = 0.01 * (1 + math.cos(math.pi * (row["step"] - 1) / 12)) / 2
        assert row["learning_rate"] == pytest.approx(factor * cosine)
    assert isinstance(events[-1], Finished)


def test_numbers_that_stay_bad_end_the_run_with_advice(bad: BadNumbers, project: Project) -> None:
    """Half the learning rate was tried; the last good checkpoint stays."""
    with pytest.raises(UserError, match="half the learning rate") as failed:
        train_with(bad, project, 4, lambda event: False)
    assert "learning_rate" in failed.value.fix
    state = RunState.load(project.state_file)
    assert state is not None and state.status == "failed" and "not finite" in state.reason
    assert load_checkpoint(checkpoint_folders(project.run_dir)[0]) is not None


# --- a disk that takes no more ---


def full_disk(*_args: Any, **_kwargs: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def full_disk_in_mlx(*_args: Any, **_kwargs: Any) -> None:
    raise RuntimeError("[write] Unable to write 100 bytes to file.")


@pytest.mark.parametrize(
    ("name", "failure"),
    [
        ("mlx.core.save_safetensors", full_disk_in_mlx),
        ("engine.training.checkpoint.write_json", full_disk),
        ("engine.training.checkpoint.sync", full_disk),
        ("engine.training.state.write_json", full_disk),
        ("engine.training.metrics.MetricsWriter.write", full_disk),
    ],
)
def test_a_full_disk_ends_the_run_with_advice_and_keeps_what_is_there(
    project: Project, monkeypatch: pytest.MonkeyPatch, name: str, failure: Callable[..., None]
) -> None:
    """One sentence, no half checkpoint, and the run goes on later."""
    with pytest.raises(UserError, match=r"(Unable to write|No space left)") as failed:
        for event in Trainer(project, RUN, StopEvent()).run():
            if isinstance(event, CheckpointSaved) and event.step == 3:
                monkeypatch.setattr(name, failure)
    assert "disk space" in failed.value.fix
    monkeypatch.undo()
    assert not list(project.run_dir.glob(".partial-*")) and not list(project.run_dir.glob("*/.partial-*"))
    newest = checkpoint_folders(project.run_dir)[0]
    assert load_checkpoint(newest) and load_checkpoint(project.run_dir / "checkpoint_epoch0_step3")
    end = train(project, None)
    assert next(event for event in end if isinstance(event, Started)).step == checkpoint_step(newest)
    assert isinstance(end[-1], Finished)


def test_a_pause_waits_for_no_step(project: Project) -> None:
    """A stop that was asked for before the run began saves step 0 and pauses."""
    stop = StopEvent()
    stop.set()
    last = list(Trainer(project, RUN, stop).run())[-1]
    assert isinstance(last, Paused) and last.step == 0
