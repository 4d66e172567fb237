"""A first validation that takes long is made after the first step, and nothing comes out otherwise."""

from collections.abc import Callable
from pathlib import Path

from engine.analysis.summary import summarise
from engine.errors import UserError
from engine.project import Project
from engine.training.answers import read_answers
from engine.training.checkpoint_folders import checkpoint_folders
from engine.training.events import (
    CheckpointSaved,
    Evaluated,
    Event,
    Finished,
    Notice,
    Paused,
    Phase,
    StepDone,
)
from engine.training.state import RunState
from tests.campaigns.common import outcome
from tests.campaigns.numbers import BadNumbers
from tests.support.moments import Moment, evaluated, inside_validation, saved, step_done
from tests.support.ranks import launcher, train_together
from tests.support.tiny import RUN, drop, tiny_project, train

import pytest

PLACES: dict[str, Callable[[], Moment]] = {
    "before the first step": lambda: saved(0),
    "after the first step": lambda: step_done(1),
    "in the first validation": lambda: inside_validation(1),
    "after the first validation": lambda: evaluated(0),
    "in a validation": lambda: inside_validation(2),
    "after a validation": lambda: evaluated(4),
}


@pytest.fixture(autouse=True)
def takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the validation of the smallest model be one that nobody waits for."""
    monkeypatch.setattr("engine.training.validation._CAN_WAIT", 0)


def order(events: list[Event]) -> list[str]:
    """Return what came first of steps, checkpoints and validations."""
    names: list[str] = []
    for event in events:
        if isinstance(event, StepDone):
            names.append(f"step {event.metrics.step}")
        elif isinstance(event, Evaluated):
            names.append(f"validation {event.step}")
        elif isinstance(event, CheckpointSaved):
            names.append(f"checkpoint {event.step}")
    return names


def following(bad: BadNumbers) -> Moment:
    """Return what tells bad numbers how far a run is, and asks for no pause."""

    def follow(event: Event) -> bool:
        bad.at_event(event)
        return False

    return follow


def test_the_first_step_waits_for_no_validation(
    project: Project, finished: tuple[Project, list[Event]]
) -> None:
    """What the run finds, and every byte, is as if the validation had come first."""
    events = train(project)
    assert order(events)[:4] == ["checkpoint 0", "step 1", "validation 0", "step 2"]
    before = [event.val_loss for event in finished[1] if isinstance(event, Evaluated)]
    assert [event.val_loss for event in events if isinstance(event, Evaluated)] == before
    assert outcome(project) == outcome(finished[0])
    assert summarise(project).initial_val_loss == summarise(finished[0]).initial_val_loss == before[0]


def test_its_loss_is_there_for_others_before_the_next_step(project: Project) -> None:
    """However soon after the last look of the disk."""
    seen: list[float | None] = []

    def look(event: Event) -> bool:
        if isinstance(event, Phase) and event.name == "training":
            state = RunState.load(project.state_file)
            seen.append(state.initial_val_loss if state else None)
        return False

    train(project, until=look)
    assert seen[0] is None and seen[1] is not None


@pytest.mark.parametrize("place", PLACES)
def test_a_paused_run_ends_in_the_same_bytes(
    project: Project, finished: tuple[Project, list[Event]], place: str
) -> None:
    """The weights that the run began with are scored, however far it is by then."""
    assert isinstance(train(project, until=PLACES[place]())[-1], Paused)
    assert isinstance(train(project, None, "resume")[-1], Finished)
    assert outcome(project) == outcome(finished[0])


@pytest.mark.parametrize("place", PLACES)
def test_a_run_dropped_in_the_middle_ends_in_the_same_bytes(
    project: Project, finished: tuple[Project, list[Event]], place: str
) -> None:
    """Nobody saved a checkpoint besides that of step 0."""
    drop(project, RUN, PLACES[place]())
    train(project, RUN)
    assert outcome(project) == outcome(finished[0])


@pytest.mark.parametrize(
    "changes",
    [{"eval_every": 1}, {"save_every": 1, "keep_checkpoints": 1}, {"max_steps": 1},
     {"fine_tune_type": "dora"}, {"lora_dropout": 0.3}],
)  # fmt: skip
def test_a_pause_in_the_first_validation_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object]
) -> None:
    """Also where the first step is validated and saved itself, is the last, or has other kinds of weights."""
    config = RUN.updated(changes)
    straight, paused = tiny_project(tmp_path / "straight"), tiny_project(tmp_path / "paused")
    with monkeypatch.context() as first:
        first.setattr("engine.training.validation._CAN_WAIT", float("inf"))
        assert order(train(straight, config))[0] == "validation 0"
    assert isinstance(train(paused, config, until=inside_validation(1))[-1], Paused)
    state = RunState.load(paused.state_file)
    assert state is not None and state.step == 1 and state.initial_val_loss is None
    again = train(paused, None, until=inside_validation(1))  # it goes on where it was
    begun = next(event for event in again if isinstance(event, Phase) and event.name == "validating")
    assert begun.done == 2
    train(paused, None)
    assert outcome(paused) == outcome(straight)
    assert summarise(paused).initial_val_loss == summarise(straight).initial_val_loss


def test_an_adapter_that_a_run_goes_on_from_is_validated_before_its_first_step(
    project: Project, finished: tuple[Project, list[Event]]
) -> None:
    """It may be gone when somebody asks for it again."""
    config = RUN.updated({"init_adapter": str(finished[0].adapters_dir), "num_epochs": 1})
    names = order(train(project, config))
    assert names[:3] == ["checkpoint 0", "validation 0", "checkpoint 0"]


def test_a_run_that_goes_back_to_its_start_keeps_its_first_validation(project: Project) -> None:
    """Its checkpoint was saved before the loss was known."""
    bad = BadNumbers("nan", frozenset([2, 3, 4]))
    with bad.injected():
        events = train(project, RUN.updated({"eval_every": 0, "save_every": 0}), until=following(bad))
    notices = [event.message for event in events if isinstance(event, Notice)]
    assert "Back to step 0 with half the learning rate" in notices
    assert order(events).count("validation 0") == 1 and isinstance(events[-1], Finished)
    assert summarise(project).initial_val_loss is not None


def test_a_model_that_begins_bad_is_refused_after_one_step(project: Project) -> None:
    """With the sentence that it is refused with otherwise."""
    bad = BadNumbers("nan", validations=frozenset([1]))  # by then a step was made
    with bad.injected(), pytest.raises(UserError, match="validation loss is not finite"):
        train(project, until=following(bad))
    assert [folder.name for folder in checkpoint_folders(project.run_dir)] == ["checkpoint_epoch0_step0"]


def test_questions_are_asked_of_the_base_model_alone_at_first(project: Project) -> None:
    """The first step's adapter is not asked: no validation was due for it."""
    project.prompts_file.write_text("Quanto é 3 mais 3?\n", encoding="utf-8")
    train(project, RUN.updated({"answers_percent": 100}))
    assert [answer.step for answer in read_answers(project).kept][:2] == [None, 4]


@pytest.mark.slow
@pytest.mark.parametrize("pause_after", [None, ("validating", 1), ("step_done", 1)])
def test_several_processes_score_the_same_weights(
    tmp_path: Path, pause_after: tuple[str, int] | None
) -> None:
    """Those of the other processes are put back, too."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text("import engine.training.validation as v\nv._CAN_WAIT = 0\n")
    straight, later = (tiny_project(tmp_path / name, valid=40) for name in ("straight", "later"))
    assert train_together(straight, RUN, "--ranks", "2").last == "finished"
    told = train_together(later, RUN, "--ranks", "2", how=launcher(folder), pause_after=pause_after)
    kinds = [event["event"] for event in told.events]
    assert "evaluated" not in kinds[: kinds.index("step_done")]
    if pause_after:
        assert told.last == "paused"
        told = train_together(later, None, "--ranks", "2", how=launcher(folder))
    assert told.last == "finished" and outcome(later) == outcome(straight)
