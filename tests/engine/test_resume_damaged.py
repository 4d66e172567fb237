"""Damage to the run's folder between two sittings."""

import json
from collections.abc import Callable
from pathlib import Path

from campaigns.common import outcome
from engine.project import Project
from engine.training.events import Event, Notice, Paused, Started
from tests.engine.moments import step_done
from tests.tiny import train

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
