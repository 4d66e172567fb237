"""Whole runs that hand each step over before the one before is read: in everything but time as without."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event as StopEvent

from engine.errors import UserError
from engine.project import Project
from engine.training import dispatch
from engine.training.events import Event, Finished, Notice, Paused, StepDone
from engine.training.state import RunState
from engine.training.step import PendingStep, StepResult
from engine.training.trainer import Trainer
from engine.verify.compare import checkpoint_digests
from tests.campaigns.common import outcome
from tests.campaigns.numbers import BadNumbers, Kind
from tests.engine.conftest import copy_of
from tests.support.moments import PLACES, step_done
from tests.support.scripted_losses import scripted
from tests.support.tiny import RUN, train

import pytest

RARE = RUN.updated({"eval_every": 0, "save_every": 0, "keep_checkpoints": 9, "lora_dropout": 0.3})
"""Validations and checkpoints only at the ends of epochs; dropout; every checkpoint is kept."""


@contextmanager
def running_ahead() -> Iterator[list[bool]]:
    """Run ahead as on a GPU, however slow this machine is; tells of each step whether one was ahead."""
    found: list[bool] = []
    result = PendingStep.result

    def noting(pending: PendingStep) -> StepResult:
        found.append(threading.current_thread() is not threading.main_thread())
        return result(pending)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dispatch, "can_run_ahead", lambda: True)
        patch.setattr(dispatch, "SHORT_STEP_S", 60.0)
        patch.setattr(PendingStep, "result", noting)
        yield found


@pytest.fixture
def ahead() -> Iterator[list[bool]]:
    with running_ahead() as found:
        yield found


def results(events: list[Event]) -> list[object]:
    """Return what events say, without times."""
    steps = [
        (e.metrics.step, e.metrics.loss, e.metrics.learning_rate, e.usage.padding, e.usage.shapes)
        for e in events
        if isinstance(e, StepDone)
    ]
    return [*steps, *(e.message for e in events if isinstance(e, Notice)), *map(type, events)]


def test_between_validations_and_checkpoints_runs_go_ahead(
    project: Project, finished: tuple[Project, list[Event]], ahead: list[bool]
) -> None:
    """Each event, line and byte is the same; validations follow 4 and 8, checkpoints every third step."""
    events = train(project)
    assert [number for number, is_ahead in enumerate(ahead, 1) if is_ahead] == [2, 5, 7, 10, 11]
    assert results(events) == results(finished[1])
    assert outcome(project) == outcome(finished[0])


@pytest.mark.parametrize(
    "changes",
    [
        {},
        *(
            pytest.param(changes, marks=pytest.mark.slow)
            for changes in ({"eval_every": 5}, {"save_every": 5, "lora_layers": 1})
        ),
    ],
)
def test_every_checkpoint_is_the_same(
    project: Project, template: Project, tmp_path: Path, changes: dict[str, int]
) -> None:
    """Weights, moments, random state and place, with dropout."""
    plain, config = copy_of(template, tmp_path / "plain"), RARE.updated(changes)
    expected = results(train(plain, config))
    with running_ahead() as ahead:
        assert results(train(project, config)) == expected
    assert sum(ahead) >= 7
    assert checkpoint_digests(project.run_dir) == checkpoint_digests(plain.run_dir)
    assert outcome(project) == outcome(plain)


@pytest.mark.parametrize(
    "place",
    ["between two steps", "before a validation", "in a validation", "after the checkpoint of an epoch"],
)
def test_a_paused_run_ends_in_the_same_bytes(
    project: Project, finished: tuple[Project, list[Event]], ahead: list[bool], place: str
) -> None:
    """Wherever the pause was asked for; what the device had already is recorded first."""
    paused = train(project, until=PLACES[place]())
    last, state = paused[-1], RunState.load(project.state_file)
    assert isinstance(last, Paused) and state is not None and state.step == last.step
    train(project, None, "resume")
    assert any(ahead) and outcome(project) == outcome(finished[0])


def test_a_pause_lets_one_step_more_be_made_at_most(
    project: Project, template: Project, tmp_path: Path, ahead: list[bool]
) -> None:
    """A step that was handed over early counts like any other; the random units go on where they were."""
    straight = copy_of(template, tmp_path / "straight")
    train(straight, RARE)
    stops = []
    for step in (1, 4, 8):
        last = train(project, RARE, until=step_done(step))[-1]
        assert isinstance(last, Paused)
        stops.append(last.step)
    assert stops == [1, 5, 9]
    train(project, RARE)
    assert outcome(project) == outcome(straight)


def test_a_run_dropped_with_a_step_on_the_device_ends_in_the_same_bytes(
    project: Project, finished: tuple[Project, list[Event]], ahead: list[bool]
) -> None:
    """Nobody waited for it, and nothing of it is in any file."""
    run = Trainer(project, RUN, StopEvent()).run()
    assert any(map(step_done(5), run)) and ahead[-1]
    run.close()
    train(project, RUN)
    assert outcome(project) == outcome(finished[0])


@pytest.mark.parametrize(
    ("steps", "kind"),
    [
        ({2, 3, 4}, "gradient"),
        *(
            pytest.param(steps, kind, marks=pytest.mark.slow)
            for steps, kind in (({3}, "nan"), ({9, 10, 11}, "inf"), ({10, 11, 12}, "nan"))
        ),
    ],
)
def test_bad_numbers_are_met_the_same_way(
    project: Project, template: Project, tmp_path: Path, steps: set[int], kind: Kind
) -> None:
    """Left out, or rolled back with half the learning rate: nothing is on the device then."""
    plain = copy_of(template, tmp_path / "plain")

    def run(where: Project) -> list[object]:
        with BadNumbers(kind, frozenset(steps)).injected():
            return results(train(where, RARE))

    expected = run(plain)
    with running_ahead() as ahead:
        assert run(project) == expected
    assert any(ahead) and Finished in expected
    assert sum(isinstance(text, str) and text.startswith("Back") for text in expected) == (len(steps) == 3)
    assert outcome(project) == outcome(plain)


@pytest.mark.parametrize("pause", [pytest.param(7, marks=pytest.mark.slow), 9])
def test_a_pause_among_bad_steps_changes_nothing(
    project: Project, template: Project, tmp_path: Path, pause: int
) -> None:
    """It goes back to where an uninterrupted run does."""
    plain = copy_of(template, tmp_path / "plain")
    with BadNumbers("inf", frozenset([8, 9, 10])).injected():
        train(plain, RARE)
    with BadNumbers("inf", frozenset([8, 9, 10])).injected(), running_ahead():
        train(project, RARE, until=step_done(pause))
        train(project, RARE)
    assert outcome(project) == outcome(plain)


def test_bad_numbers_that_stay_end_the_run_with_advice(project: Project, ahead: list[bool]) -> None:
    """As without running ahead."""
    steps = frozenset([8, 9, 10])
    with BadNumbers("nan", steps, halved=steps).injected(), pytest.raises(UserError, match="half the"):
        train(project, RARE)
    assert any(ahead)


def test_early_stopping_is_decided_with_nothing_on_the_device(
    project: Project, ahead: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run ends with the step of the validation that ran its patience out."""
    scripted(monkeypatch, [9.0, 3.0, 4.0])
    last = train(project, RARE.updated({"eval_every": 3, "early_stopping_patience": 1}))[-1]
    assert isinstance(last, Finished) and (last.step, last.reason) == (6, "early_stopping")
    assert len(ahead) == 6 and sum(ahead) == 3


def test_memory_that_runs_out_is_explained(
    project: Project, ahead: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though another thread met it, with a step more on the device."""
    result = PendingStep.result

    def fail(pending: PendingStep) -> StepResult:
        found = result(pending)
        if ahead[-1]:
            raise RuntimeError("[malloc] Unable to allocate 123 bytes.")
        return found

    monkeypatch.setattr(PendingStep, "result", fail)
    with pytest.raises(UserError, match="Out of memory with batch_size=2"):
        train(project, RARE)
    state = RunState.load(project.state_file)
    assert state is not None and (state.status, state.step) == ("failed", 1)
