"""An interrupted run ends in the same bytes as one that was left alone."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event as StopEvent
from typing import Any

from engine.config import TrainingConfig
from engine.errors import UserError
from engine.project import Project
from engine.training.checkpoint import checkpoint_folders
from engine.training.events import (
    CheckpointSaved,
    Evaluated,
    Event,
    Finished,
    Notice,
    Paused,
    Phase,
    Started,
    StepDone,
)
from engine.training.state import RunState
from engine.training.trainer import Trainer
from tests.tiny import RUN, metrics_rows, tiny_project, train

import pytest

ROOT = Path(__file__).parents[2]
CONFIGS = {
    "plain": RUN,
    "dropout": RUN.updated({"lora_dropout": 0.3}),
    "one_layer": RUN.updated({"lora_layers": 1}),
}


@dataclass(frozen=True)
class Outcome:
    """What must not depend on where a run was interrupted."""

    weights: bytes
    optimizer: bytes
    adapter: bytes
    rows: list[dict[str, Any]]
    best: tuple[int | None, float | None]


def outcome(project: Project) -> Outcome:
    newest = checkpoint_folders(project.run_dir)[0]
    state = RunState.load(project.state_file)
    assert state is not None and state.status == "finished" and state.last_checkpoint == newest.name
    return Outcome(
        (newest / "adapters.safetensors").read_bytes(),
        (newest / "optimizer.safetensors").read_bytes(),
        (project.adapters_dir / "adapters.safetensors").read_bytes(),
        metrics_rows(project),
        (state.best_step, state.best_val_loss),
    )


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that is only ever copied."""
    return tiny_project(tmp_path_factory.mktemp("template"))


@pytest.fixture
def project(template: Project, tmp_path: Path) -> Project:
    shutil.copytree(template.root, tmp_path / "project")
    return Project(tmp_path / "project")


@pytest.fixture(scope="module")
def expected(template: Project, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """Outcomes of the runs that nobody interrupted."""
    found = {}
    for name, config in CONFIGS.items():
        root = tmp_path_factory.mktemp(name) / "project"
        shutil.copytree(template.root, root)
        train(Project(root), config)
        found[name] = outcome(Project(root))
    assert [row["step"] for row in found["plain"].rows] == list(range(1, 13))
    return found


def nth(number: int, matches: Callable[[Event], bool]) -> Callable[[Event], bool]:
    """True for the `number`th event that `matches`."""
    seen = [0]

    def check(event: Event) -> bool:
        seen[0] += matches(event)
        return matches(event) and seen[0] == number

    return check


def step_done(step: int) -> Callable[[Event], bool]:
    return lambda event: isinstance(event, StepDone) and event.metrics.step == step


def saved(step: int) -> Callable[[Event], bool]:
    return lambda event: isinstance(event, CheckpointSaved) and event.step == step


def evaluated(step: int) -> Callable[[Event], bool]:
    return lambda event: isinstance(event, Evaluated) and event.step == step


def inside_validation(number: int) -> Callable[[Event], bool]:
    """True once, after the first batch of the `number`th validation."""
    return nth(
        number, lambda event: isinstance(event, Phase) and event.name == "validating" and event.done == 1
    )


PLACES: dict[str, Callable[[], Callable[[Event], bool]]] = {
    "before the first validation": lambda: lambda event: isinstance(event, Started),
    "in the first validation": lambda: inside_validation(1),
    "after the first validation": lambda: evaluated(0),
    "after the first checkpoint": lambda: saved(0),
    "between two steps": lambda: step_done(2),
    "before a validation": lambda: step_done(3),
    "in a validation": lambda: inside_validation(2),
    "after a validation": lambda: evaluated(4),
    "in the validation at the end of an epoch": lambda: inside_validation(3),
    "after the checkpoint of an epoch": lambda: saved(6),
    "in the last validation": lambda: inside_validation(5),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_paused_run_ends_in_the_same_bytes(
    project: Project, expected: dict[str, Outcome], place: str
) -> None:
    """Adapters, optimizer and metrics, wherever the pause was asked for."""
    paused = train(project, until=PLACES[place]())
    last = paused[-1]
    assert isinstance(last, Paused) and last.checkpoint.is_dir()
    state = RunState.load(project.state_file)
    assert state is not None and (state.status, state.step) == ("paused", last.step)
    resumed = train(project, None, "resume")
    begun = next(event for event in resumed if isinstance(event, Started))
    assert begun.step == last.step and isinstance(resumed[-1], Finished)
    assert outcome(project) == expected["plain"]


@pytest.mark.parametrize("name", ["dropout", "one_layer"])
def test_a_run_paused_at_every_other_chance_ends_in_the_same_bytes(
    project: Project, expected: dict[str, Outcome], name: str
) -> None:
    """Random numbers of the dropout, and layers without an adapter, are put back as well."""
    for step in range(2, 12, 2):
        assert isinstance(train(project, CONFIGS[name], until=step_done(step))[-1], Paused)
    train(project, CONFIGS[name])
    assert outcome(project) == expected[name]
    assert expected["dropout"].weights != expected["plain"].weights


@pytest.mark.parametrize(
    "place",
    ["in the first validation", "after the first checkpoint", "in a validation", "after a validation",
     "in the last validation"],
)  # fmt: skip
def test_a_run_dropped_in_the_middle_ends_in_the_same_bytes(
    project: Project, expected: dict[str, Outcome], place: str
) -> None:
    """Nobody saved a checkpoint; what came after the last one is done again."""
    is_there, run = PLACES[place](), Trainer(project, RUN, StopEvent()).run()
    for event in run:
        if is_there(event):
            break
    run.close()  # type: ignore[attr-defined]
    train(project, RUN)
    assert outcome(project) == expected["plain"]


KILLED = """
import os, signal, sys
from pathlib import Path
from threading import Event
import engine.training.checkpoint as checkpoint
from engine.project import Project
from engine.training.events import StepDone
from engine.training.trainer import Trainer
from tests.tiny import RUN

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

root, where = Path(sys.argv[1]), sys.argv[2]
for event in Trainer(Project(root), RUN, Event()).run():
    if isinstance(event, StepDone) and event.metrics.step == 5:
        if where == "step":
            die()
        setattr(checkpoint, where, die)
"""


@pytest.mark.parametrize("where", ["step", "sync", "discard"])
def test_a_killed_process_leaves_a_run_that_goes_on(
    project: Project, expected: dict[str, Outcome], where: str
) -> None:
    """SIGKILL between steps, in the middle of a checkpoint, and before old ones are deleted."""
    arguments = [sys.executable, "-c", KILLED, str(project.root), where]
    assert subprocess.run(arguments, cwd=ROOT, check=False).returncode == -9
    state = RunState.load(project.state_file)
    assert state is not None and state.status == "running" and not state.is_alive
    for path in (project.metrics_file, project.metrics_csv):
        with path.open("a") as file:
            file.write('{"step": 6, "lo')  # what a power cut in the middle of a line leaves
    train(project, None)
    assert outcome(project) == expected["plain"]
    assert not list(project.run_dir.glob(".partial-*"))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def flip_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)


def change_best(path: Path) -> None:
    state = json.loads(path.read_text())
    state["progress"]["best_val_loss"] = 0.5
    path.write_text(json.dumps(state))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("adapters.safetensors", truncate),
        ("adapters.safetensors", flip_bit),
        ("optimizer.safetensors", flip_bit),
        ("optimizer.safetensors", Path.unlink),
        ("adapter_config.json", truncate),
        ("state.json", truncate),
        ("state.json", Path.unlink),
        ("state.json", change_best),
    ],
)
def test_a_damaged_checkpoint_is_left_out_and_named(
    project: Project, expected: dict[str, Outcome], name: str, damage: Callable[[Path], None]
) -> None:
    """The one before is used and the result is the same."""
    last = train(project, until=step_done(7))[-1]
    assert isinstance(last, Paused)
    damage(last.checkpoint / name)
    events = train(project, None)
    notices = [event.message for event in events if isinstance(event, Notice)]
    assert any(last.checkpoint.name in text for text in notices)
    assert any("checkpoint_epoch0_step6" in text for text in notices)
    assert next(event for event in events if isinstance(event, Started)).step == 6
    assert outcome(project) == expected["plain"]


def test_a_run_with_only_damaged_checkpoints_is_refused(project: Project) -> None:
    """It is not silently begun anew: the way out is named, and every file stays."""
    train(project, until=lambda event: isinstance(event, StepDone))
    for folder in checkpoint_folders(project.run_dir):
        (folder / "optimizer.safetensors").write_bytes(b"")
    before = metrics_rows(project)
    with pytest.raises(UserError, match="damaged") as refused:
        train(project)
    assert "--restart" in refused.value.fix
    assert metrics_rows(project) == before


def test_elapsed_time_leaves_pauses_out(project: Project) -> None:
    """The clock goes on from the checkpoint's, so it never falls and never counts the break."""
    train(project, until=step_done(6))
    train(project, None)
    times = [json.loads(line)["elapsed_s"] for line in project.metrics_file.read_text().splitlines()]
    assert times == sorted(times)


def test_resuming_takes_the_runs_own_configuration(project: Project) -> None:
    """Without a configuration, that of the checkpoint counts."""
    config = RUN.updated({"num_epochs": 1})
    train(project, config, until=step_done(2))
    last = train(project, None)[-1]
    assert isinstance(last, Finished) and last.step == 6
    assert TrainingConfig.load(project.config_file) == config
