"""Damage to the run's folder between two sessions."""

import json
from collections.abc import Callable
from pathlib import Path

from engine.project import Project
from engine.training.checkpoint_folders import checkpoint_folders, checkpoint_step
from engine.training.events import Event, Notice, Paused, Started
from tests.campaigns.common import outcome
from tests.support.moments import step_done
from tests.support.tiny import train

import pytest


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
    project: Project, finished: tuple[Project, list[Event]], name: str, damage: Callable[[Path], None]
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
    assert outcome(project) == outcome(finished[0])


def damaged_at(project: Project, step: int) -> tuple[Path, Path]:
    """Return the checkpoint of a step, damaged, and where it is to be found when the run has begun again."""
    (folder,) = (path for path in checkpoint_folders(project.run_dir) if checkpoint_step(path) == step)
    flip_bit(folder / "optimizer.safetensors")
    return folder, project.run_dir / "archive"


@pytest.mark.parametrize("step", [7, 6])
def test_a_damaged_checkpoint_is_archived_before_the_run_goes_on(project: Project, step: int) -> None:
    """The newest and an older one: nothing waits for a checkpoint that the run may not come to."""
    train(project, until=step_done(7))
    folder, archive = damaged_at(project, step)
    in_place: list[bool] = []

    def begins(event: Event) -> bool:
        if isinstance(event, Started):
            in_place.append(folder.exists())
        return isinstance(event, Started)

    events = train(project, None, until=begins)
    assert in_place == [False]
    (moved,) = archive.glob(f"*/{folder.name}")
    notices = " ".join(event.message for event in events if isinstance(event, Notice))
    assert f"{folder.name} is damaged" in notices and f"{folder.name} was in the way" in notices
    assert str(moved.parent) in notices and ("Going on from" in notices) == (step == 7)
