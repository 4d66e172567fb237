"""Whole runs of several processes: curves, bytes, pauses, other numbers of processes, refusals."""

import hashlib
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from engine.config import TrainingConfig
from engine.project import Project
from engine.training.checkpoint_folders import checkpoint_folders
from engine.training.state import RunState
from engine.verify.child import training_process
from tests.campaigns.common import outcome
from tests.support.ranks import hosts_file, spoilt, train_together
from tests.support.tiny import RUN, metrics_rows, tiny_project, train, write_rows

import psutil
import pytest

pytestmark = pytest.mark.slow

LONG = RUN.updated({"num_epochs": 17, "eval_every": 20, "save_every": 25, "learning_rate": 1e-3})
"""102 steps."""
DROPPING = RUN.updated({"lora_dropout": 0.2})


def curve(project: Project, name: str = "loss") -> list[float]:
    """Return what each step has of a number, NaN where it has none."""
    return [float("nan") if row[name] is None else row[name] for row in metrics_rows(project)]


def finish(project: Project, config: TrainingConfig | None, *options: str) -> Project:
    """Train to the end."""
    told = train_together(project, config, *options)
    assert told.refusal == "" and told.last == "finished"
    return project


def test_two_and_four_processes_have_one_s_curve(tmp_path: Path) -> None:
    """Over 100 steps to rounding: losses, validations, gradients; four have no row in some steps."""
    alone = tiny_project(tmp_path / "1")
    train(alone, LONG)
    for ranks in ("2", "4"):
        together = finish(tiny_project(tmp_path / ranks), LONG, "--ranks", ranks)
        for name in ("loss", "val_loss", "grad_norm"):
            assert curve(together, name) == pytest.approx(curve(alone, name), rel=1e-3, abs=1e-5, nan_ok=True)
        assert curve(together, "tokens") == curve(alone, "tokens")


def test_more_processes_than_rows(tmp_path: Path) -> None:
    """A step has one row: all but one process only wait for it, which is said."""
    config = RUN.updated({"batch_size": 1, "gradient_accumulation": 1, "num_epochs": 1})
    alone = tiny_project(tmp_path / "1", train=8)
    train(alone, config)
    project = tiny_project(tmp_path / "3", train=8)
    told = train_together(project, config, "--ranks", "3")
    assert told.last == "finished" and curve(project) == pytest.approx(curve(alone), abs=1e-5)
    said = [event["message"] for event in told.events if event["event"] == "notice"]
    assert any("A step has 1 row for 3 processes" in text for text in said)


def test_unequal_speeds_have_the_same_curve(tmp_path: Path) -> None:
    """One of two computes three quarters of the rows."""
    alone = tiny_project(tmp_path / "1")
    train(alone, RUN)
    path = hosts_file(tmp_path / "hosts.json", {"speed": 3.0}, {"speed": 1.0})
    together = finish(tiny_project(tmp_path / "2"), RUN, "--hosts", path)
    assert curve(together) == pytest.approx(curve(alone), abs=1e-4)


@pytest.mark.parametrize(
    ("config", "pause_after"),
    [
        (RUN, ("step_done", 5)),
        (DROPPING, ("step_done", 7)),
        (DROPPING, ("checkpoint_saved", 6)),
        (RUN, ("validating", 1)),
        (RUN, ("evaluated", 4)),
        (RUN.updated({"answers_percent": 50}), ("step_done", 9)),
    ],
    ids=["step", "dropout", "saving", "first validation", "validation", "answers"],
)
def test_paused_and_resumed_a_run_ends_in_the_same_bytes(
    tmp_path: Path, config: TrainingConfig, pause_after: tuple[str, int]
) -> None:
    """By the same number of processes."""
    straight, paused = tiny_project(tmp_path / "straight", valid=40), tiny_project(tmp_path / "p", valid=40)
    for project in (straight, paused):
        if config.answers_percent != RUN.answers_percent:
            project.prompts_file.write_text("Quanto é 3 mais 3?\n", encoding="utf-8")
    finish(straight, config, "--ranks", "2")
    told = train_together(paused, config, "--ranks", "2", pause_after=pause_after)
    assert told.refusal == "" and told.last == "paused"
    finish(paused, None, "--ranks", "2")
    assert outcome(paused) == outcome(straight)


@pytest.mark.parametrize("ranks", ["1", "3"])
def test_other_processes_go_on(tmp_path: Path, ranks: str) -> None:
    """The curve stays one process's to rounding; with fewer than before that is said."""
    alone, project = tiny_project(tmp_path / "1"), tiny_project(tmp_path / "2")
    train(alone, RUN)
    paused = train_together(project, RUN, "--ranks", "2", pause_after=("step_done", 5))
    assert paused.last == "paused"
    told = train_together(project, None, "--ranks", ranks)
    assert told.last == "finished"
    assert curve(project) == pytest.approx(curve(alone), abs=1e-4)
    said = [event["message"] for event in told.events if event["event"] == "notice"]
    assert any("2 processes trained together before, 1 from here on" in text for text in said) == (
        ranks == "1"
    )


def test_what_a_run_may_be_told_it_does_with_two(tmp_path: Path) -> None:
    """It ends early, after so many steps, begins with an adapter, and goes on with half the micro-batch."""
    short = finish(tiny_project(tmp_path / "short"), RUN.updated({"max_steps": 5}), "--ranks", "2")
    assert len(curve(short)) == 5
    patient = RUN.updated({"early_stopping_patience": 1, "learning_rate": 0.1, "num_epochs": 6})
    early = train_together(tiny_project(tmp_path / "early"), patient, "--ranks", "2")
    assert early.events[-1]["reason"] == "early_stopping"

    alone, together = tiny_project(tmp_path / "a"), tiny_project(tmp_path / "b")
    for project in (alone, together):
        adapter = project.root / "begin"
        adapter.mkdir()
        for path in short.adapters_dir.iterdir():
            (adapter / path.name).write_bytes(path.read_bytes())
    config = RUN.updated({"init_adapter": "begin", "num_epochs": 1})
    train(alone, config)
    told = train_together(together, config, "--ranks", "2", pause_after=("step_done", 3))
    assert told.last == "paused"
    finish(together, None, "--ranks", "2", "--half-micro-batch")
    assert curve(together) == pytest.approx(curve(alone), abs=1e-4)


def test_steps_that_are_not_finite_are_rolled_back_in_both(tmp_path: Path) -> None:
    """Numbers of one process spoil the sum of all: both leave the steps out, and go back together."""
    project = tiny_project(tmp_path / "p")
    told = train_together(project, RUN, "--ranks", "2", how=spoilt(tmp_path / "spoilt", _NOT_FINITE))
    assert told.last == "finished"  # equal in both at each checkpoint, else it would have been refused
    said = [event["message"] for event in told.events if event["event"] == "notice"]
    assert "Back to step 4 with half the learning rate" in said
    assert [row["step"] for row in metrics_rows(project)] == list(range(1, 13))
    assert all(row["loss"] is not None for row in metrics_rows(project))


def test_whoever_waits_for_another_process_takes_no_processor(tmp_path: Path) -> None:
    """MLX's threads spin in a sum until all others take part: on two cores, at the price of who is late."""
    project = tiny_project(tmp_path / "p")
    RUN.save(project.root / "run.json")
    options = ("--ranks", "2", "--config", str(project.root / "run.json"))
    used: dict[int, float] = {}
    with training_process(spoilt(tmp_path / "spoilt", _LATE), project, *options) as process:
        for event in process.events():
            if event["event"] == "step_done" and event["step"] in (4, 5):
                (owner,) = (p for p in psutil.Process().children() if str(project.root) in p.cmdline())
                used[event["step"]] = sum(owner.cpu_times()[:2])
        process.end()
    assert used[5] - used[4] < 0.5, "seconds of the processor's time, of 5 that it waited"


# What is refused


def test_other_weights_are_found_at_the_next_checkpoint(tmp_path: Path) -> None:
    """A process whose adapter is another one is named, and nothing of it is saved."""
    how = spoilt(tmp_path / "spoilt", _OTHER_WEIGHTS)
    project = tiny_project(tmp_path / "p")
    told = train_together(project, RUN, "--ranks", "2", how=how)
    assert told.refusal.startswith("process 1 has other weights than the owner of the run at the same step")
    assert [path.name for path in checkpoint_folders(project.run_dir)] == ["checkpoint_epoch0_step0"]
    state = RunState.load(project.state_file)
    assert state is not None and state.status == "failed"


_OTHER_WEIGHTS = """
import engine.training.step as step
launch = step.StepFunction.launch
def changed(self, *arguments):
    from engine.backend import mx
    pending = launch(self, *arguments)
    self._keep(self._parameters() + 1e-7)
    return pending
step.StepFunction.launch = changed
"""
_NOT_FINITE = """
import engine.training.step as step
launch, made = step.StepFunction.launch, []
def bad(self, *arguments):
    made.append(1)
    over = self.sum_over
    if len(made) in (5, 6, 7):
        self.sum_over = lambda vector: over(vector * float("nan"))
    try:
        return launch(self, *arguments)
    finally:
        self.sum_over = over
step.StepFunction.launch = bad
"""
_LATE = """
import time
import engine.training.step as step
launch, made = step.StepFunction.launch, []
def late(self, *arguments):
    made.append(1)
    if len(made) == 5:
        time.sleep(5)
    return launch(self, *arguments)
step.StepFunction.launch = late
"""
_OUT_OF_MEMORY = """
import engine.training.step as step
launch, made = step.StepFunction.launch, []
def failing(self, *arguments):
    made.append(1)
    if len(made) == 5:
        raise RuntimeError("[malloc] Unable to allocate 99999999999 bytes.")
    return launch(self, *arguments)
step.StepFunction.launch = failing
"""
_OTHER_VERSION = """
import importlib.metadata as metadata
version = metadata.version
metadata.version = lambda name: "0.0.1" if name == "mlx" else version(name)
"""


def test_memory_that_runs_out_in_another_process_is_told(tmp_path: Path) -> None:
    """With what helps; the run is saved at the step before and ends as if nothing had been."""
    project, straight = tiny_project(tmp_path / "p"), tiny_project(tmp_path / "s")
    told = train_together(project, RUN, "--ranks", "2", how=spoilt(tmp_path / "spoilt", _OUT_OF_MEMORY))
    assert told.refusal.startswith("process 1: Out of memory with batch_size=2 and max_seq_length=64")
    assert "--half-micro-batch" in told.refusal and told.steps == 4
    assert (project.run_dir / "checkpoint_epoch0_step4").is_dir()
    finish(project, None, "--ranks", "2")
    assert outcome(project) == outcome(finish(straight, RUN, "--ranks", "2"))


def test_another_version_is_refused_before_anything_is_touched(tmp_path: Path) -> None:
    """The new project's folder is left as it was."""
    project = tiny_project(tmp_path / "p")
    told = train_together(project, RUN, "--ranks", "2", how=spoilt(tmp_path / "spoilt", _OTHER_VERSION))
    assert re.match(
        r"process 1: mlx 0\.0\.1 is installed, the owner of the run has \S+; install", told.refusal
    )
    assert not project.run_dir.exists()


@pytest.mark.parametrize("what", ["data", "model"])
def test_another_project_is_refused_before_anything_is_touched(tmp_path: Path, what: str) -> None:
    """A finished run there stays as it is, to the byte."""
    project, other = tiny_project(tmp_path / "p"), tiny_project(tmp_path / "other")
    train(project, RUN.updated({"num_epochs": 1}))
    _change(other, what)
    before = _files(project)
    hosts = hosts_file(tmp_path / "hosts.json", {}, {"project": str(other.root)})
    told = train_together(project, RUN, "--restart", "--hosts", hosts, "--go-on-with-fewer")
    words = {"data": "the data files", "model": "the base model"}
    assert told.refusal.startswith(f"process 1: {words[what]}") and "differ from the owner's" in told.refusal
    assert _files(project) == before


def test_a_project_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """In a sentence, with the process named."""
    project = tiny_project(tmp_path / "p")
    hosts = hosts_file(tmp_path / "hosts.json", {}, {"project": str(tmp_path / "nowhere")})
    told = train_together(project, RUN, "--hosts", hosts, "--go-on-with-fewer")
    assert told.refusal.startswith("process 1: ") and "nowhere" in told.refusal
    assert "Traceback" not in told.refusal and not project.run_dir.exists()


def test_what_another_project_lacks_is_to_be_copied_there(tmp_path: Path) -> None:
    """No command for the owner's own project is advised, where the model is."""
    project, other = tiny_project(tmp_path / "p"), tiny_project(tmp_path / "other")
    shutil.rmtree(other.models_dir / "tiny")
    hosts = hosts_file(tmp_path / "hosts.json", {}, {"project": str(other.root)})
    told = train_together(project, RUN, "--hosts", hosts)
    assert told.refusal.startswith("process 1: No base model")
    assert told.refusal.endswith(f"; copy the data and the models of the project to {other.root} there")


def test_a_local_host_is_started_by_the_python_it_names(tmp_path: Path) -> None:
    """One that is not there is told; the first host is what the user has started."""
    project = tiny_project(tmp_path / "p")
    nowhere = {"python": str(tmp_path / "no" / "python")}
    told = train_together(project, RUN, "--hosts", hosts_file(tmp_path / "hosts.json", {}, nowhere))
    assert told.refusal.startswith("process 1 cannot be started: ")
    assert told.refusal.endswith("; correct python in the host file")
    log = tmp_path / "started"
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho started >> {log}\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    hosts = hosts_file(tmp_path / "hosts.json", nowhere, {"python": str(python)})
    assert not train_together(project, RUN, "--hosts", hosts).refusal
    assert log.read_text() == "started\n"


def _change(project: Project, what: str) -> None:
    model = project.models_dir / "tiny"
    match what:
        case "data":
            write_rows(project.valid_file, [{"prompt": "a", "completion": "b"}])
        case "model":
            weights = bytearray((model / "model.safetensors").read_bytes())
            weights[-1] ^= 1
            (model / "model.safetensors").write_bytes(bytes(weights))


def _files(project: Project) -> dict[str, Any]:
    files = (path for path in project.run_dir.rglob("*") if path.is_file() and path != project.lock_file)
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
