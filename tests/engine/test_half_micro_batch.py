"""Going on with half the micro-batch after memory ran out: the same steps, equal to rounding."""

from pathlib import Path
from threading import Event as StopEvent

from engine.config import TrainingConfig
from engine.project import Project
from engine.training.events import Event, Notice, Resumption, StepDone
from engine.training.resume import open_run
from engine.training.state import RunState
from engine.training.trainer import Trainer
from tests.engine.conftest import copy_of
from tests.support.moments import step_done
from tests.support.tiny import RUN, metrics_rows, train

import numpy as np
import pytest


@pytest.fixture
def other(template: Project, tmp_path: Path) -> Project:
    return copy_of(template, tmp_path / "other")


def go_on(project: Project, config: TrainingConfig | None = None) -> list[Event]:
    return list(Trainer(project, config, StopEvent(), how=Resumption(halve_micro_batch=True)).run())


def losses(project: Project) -> list[float]:
    return [row["loss"] for row in metrics_rows(project)]


def divisor(project: Project) -> int:
    state = RunState.load(project.state_file)
    assert state is not None
    return state.micro_batch_divisor


@pytest.mark.parametrize("batch_size", [pytest.param(1, marks=pytest.mark.slow), 4])
def test_the_steps_stay_the_same(project: Project, other: Project, batch_size: int) -> None:
    """Whether rows are split apart, or a row alone is recomputed: losses agree to rounding."""
    config = RUN.updated({"batch_size": batch_size, "gradient_accumulation": 4 // batch_size})
    train(project, config)
    train(other, config, until=step_done(5))
    events = go_on(other)
    assert divisor(other) == 2
    np.testing.assert_allclose(losses(other), losses(project), rtol=2e-4)
    notices = [event.message for event in events if isinstance(event, Notice)]
    assert any("1/2 of their usual size" in text for text in notices)
    assert any("recomputed" in text for text in notices) == (batch_size == 1)


def test_later_sessions_keep_to_it_and_a_new_run_does_not(project: Project) -> None:
    """Memory is as short tomorrow; halving again halves again."""
    train(project, until=step_done(2))
    stop = StopEvent()
    for event in Trainer(project, None, stop, how=Resumption(halve_micro_batch=True)).run():
        if isinstance(event, StepDone):
            stop.set()
    assert divisor(project) == 2
    assert open_run(project, None, "auto").micro_batch_divisor == 2
    assert open_run(project, None, "resume", Resumption(halve_micro_batch=True)).micro_batch_divisor == 4
    train(project, None)
    assert divisor(project) == 2
    assert open_run(project, None, "restart").micro_batch_divisor == 1


def test_it_holds_for_a_run_without_a_checkpoint(project: Project) -> None:
    """Memory may run out in the first validation, more than once: it is halved again and again."""
    project.run_dir.mkdir()
    RunState("failed", "tiny", micro_batch_divisor=4).save(project.state_file)
    assert open_run(project, RUN, "auto").micro_batch_divisor == 4
    assert open_run(project, RUN, "auto", Resumption(halve_micro_batch=True)).micro_batch_divisor == 8
    project.state_file.unlink()
    assert open_run(project, RUN, "auto", Resumption(halve_micro_batch=True)).micro_batch_divisor == 2
    assert open_run(project, RUN, "restart", Resumption(halve_micro_batch=True)).micro_batch_divisor == 2
