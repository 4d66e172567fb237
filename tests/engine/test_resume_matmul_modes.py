"""Pause and resume are exact in each matmul mode of frozen weights, and a resumed run keeps its own plan."""

from collections.abc import Mapping
from pathlib import Path
from threading import Event as StopEvent
from typing import Any

from engine.backend import nn
from engine.model.matmul_timings import MATMUL_MODES, MatmulMode, Seconds
from engine.project import Project
from engine.training import execution_plan as plan_module
from engine.training.checkpoint import newest_checkpoint
from engine.training.events import Event, Finished, Paused, Resumption
from engine.training.execution_plan import Plan
from engine.training.trainer import Trainer
from tests.campaigns.common import outcome
from tests.engine.conftest import copy_of
from tests.support.moments import step_done
from tests.support.tiny import RUN, train

import pytest

SHORT = RUN.updated({"num_epochs": 1})  # six steps


@pytest.fixture
def straight(template: Project, tmp_path: Path) -> Project:
    """A project for a run that is left alone."""
    return copy_of(template, tmp_path / "straight")


def plan_of(project: Project) -> Plan:
    checkpoint, _damaged = newest_checkpoint(project.run_dir)
    assert checkpoint is not None and checkpoint.identity.plan is not None
    return checkpoint.identity.plan


@pytest.mark.parametrize("checkpointing", ["on", pytest.param("off", marks=pytest.mark.slow)])
@pytest.mark.parametrize("mode", MATMUL_MODES)
def test_each_mode_is_resumed_to_the_byte(
    project: Project, straight: Project, mode: MatmulMode, checkpointing: str
) -> None:
    """With activations recomputed or kept."""
    config = SHORT.updated({"frozen_weights": mode, "gradient_checkpointing": checkpointing})
    assert isinstance(train(project, config, until=step_done(2))[-1], Paused)
    assert isinstance(train(project, None, "resume")[-1], Finished)
    train(straight, config)
    assert outcome(project) == outcome(straight)
    plan = plan_of(project)
    assert set(plan.matmul_modes.values()) == {mode}
    assert plan.recomputed_layers == (2 if checkpointing == "on" else 0)


@pytest.fixture
def fastest(monkeypatch: pytest.MonkeyPatch) -> dict[str, MatmulMode]:
    """Name under "mode" what every measurement finds the fastest."""
    chosen: dict[str, MatmulMode] = {}

    def calibrate(layers: Mapping[str, nn.Module], rows: int, dtype: Any) -> dict[str, Seconds]:
        times: Seconds = {mode: 1.0 if mode == chosen["mode"] else 2.0 for mode in MATMUL_MODES}
        return dict.fromkeys(layers, times)

    monkeypatch.setattr(plan_module, "calibrate", calibrate)
    return chosen


def test_a_resumed_run_goes_on_as_it_began(
    project: Project, straight: Project, template: Project, tmp_path: Path, fastest: dict[str, MatmulMode]
) -> None:
    """Though on another day another mode is found the fastest, by which the numbers are rounded otherwise."""
    config = SHORT.updated({"frozen_weights": "auto"})
    other = copy_of(template, tmp_path / "other")
    fastest["mode"] = "packed"
    train(straight, config)
    train(project, config, until=step_done(3))
    fastest["mode"] = "resident"
    train(other, config)
    train(project, None, "resume")
    assert set(plan_of(project).matmul_modes.values()) == {"packed"}
    assert set(plan_of(other).matmul_modes.values()) == {"resident"}
    assert outcome(project) == outcome(straight) != outcome(other)


def test_memory_that_ran_out_makes_a_new_plan(project: Project, fastest: dict[str, MatmulMode]) -> None:
    """Fewer tokens in a micro-batch, and nothing written out any more; later sessions keep to that."""
    config = SHORT.updated({"frozen_weights": "auto"})
    fastest["mode"] = "resident"
    train(project, config, until=step_done(2))
    assert set(plan_of(project).matmul_modes.values()) == {"resident"}
    stop = StopEvent()
    events: list[Event] = []
    for event in Trainer(project, None, stop, "resume", how=Resumption(halve_micro_batch=True)).run():
        events.append(event)
        if step_done(4)(event):
            stop.set()
    halved = plan_of(project)
    assert halved.micro_batch_divisor == 2 and set(halved.matmul_modes.values()) == {"packed"}
    fastest["mode"] = "transient"
    assert isinstance(train(project, None, "resume")[-1], Finished)
    assert plan_of(project) == halved
