"""A run that was paused or dropped ends in the same bytes as one that was left alone."""

import json
from collections.abc import Callable

from engine.analysis.run_folder import run_config
from engine.config import TrainingConfig
from engine.project import Project
from engine.training.events import CheckpointSaved, Event, Finished, Notice, Paused, Phase, Started
from engine.training.state import RunState
from tests.campaigns.common import outcome
from tests.engine.conftest import copy_of
from tests.support.moments import PLACES, step_done
from tests.support.tiny import RUN, drop, train

import pytest


@pytest.mark.parametrize("place", PLACES)
def test_a_paused_run_ends_in_the_same_bytes(
    project: Project, finished: tuple[Project, list[Event]], place: str
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
    state = RunState.load(project.state_file)
    assert state is not None and state.resumed_at == last.step
    assert outcome(project) == outcome(finished[0])


@pytest.mark.parametrize(
    "changes", [{"lora_dropout": 0.3}, pytest.param({"lora_layers": 1}, marks=pytest.mark.slow)]
)
def test_a_run_paused_at_every_other_chance_ends_in_the_same_bytes(
    project: Project, template: Project, finished: tuple[Project, list[Event]], changes: dict[str, float]
) -> None:
    """Random numbers of the dropout, and layers without an adapter, are put back as well."""
    config = RUN.updated(changes)
    for step in range(2, 12, 2):
        assert isinstance(train(project, config, until=step_done(step))[-1], Paused)
    train(project, config)
    straight = copy_of(template, project.root.parent / "straight")
    train(straight, config)
    assert outcome(project) == outcome(straight) != outcome(finished[0])


@pytest.mark.parametrize(
    "place",
    ["in the first validation", "after the first checkpoint", "in a validation", "after a validation",
     "in the last validation"],
)  # fmt: skip
def test_a_run_dropped_in_the_middle_ends_in_the_same_bytes(
    project: Project, finished: tuple[Project, list[Event]], place: str
) -> None:
    """Nobody saved a checkpoint; what came after the last one is done again."""
    drop(project, RUN, PLACES[place]())
    train(project, RUN)
    assert outcome(project) == outcome(finished[0])


@pytest.mark.slow
def test_a_validation_that_a_pause_cuts_short_goes_on_where_it_was(
    project: Project, finished: tuple[Project, list[Event]]
) -> None:
    """Before the first step and later: no micro-batch is scored twice, and the bytes are the same."""

    def scored(count: int) -> Callable[[Event], bool]:
        return lambda event: isinstance(event, Phase) and event.name == "validating" and event.done == count

    straight = [event for event in finished[1] if scored(0)(event)]
    total = next(event.total for event in straight if isinstance(event, Phase))
    assert total > 2
    first = train(project, RUN, until=scored(1))
    later = train(project, None, until=lambda event: scored(1)(event) and project.adapter_file.exists())
    last = train(project, None)
    assert isinstance(first[-1], Paused) and isinstance(later[-1], Paused)
    begins = [next(e.done for e in events if isinstance(e, Phase) and e.name == "validating")
              for events in (first, later, last)]  # fmt: skip
    assert begins == [0, 2, 2]
    assert outcome(project) == outcome(finished[0])


def test_each_stage_of_a_resume_is_reported(project: Project) -> None:
    """As those of a fresh start are, and what only a resume does as well."""
    fresh = [event.name for event in train(project, until=step_done(2)) if isinstance(event, Phase)]
    assert fresh[:3] == ["tokenizing", "loading", "validating"]
    *ready, last = [event for event in train(project, until=step_done(3)) if isinstance(event, Phase)][:5]
    assert [phase.name for phase in ready] == ["checking", "tokenizing", "loading", "restoring"]
    assert ready[-1].step == 2 and last.name == "training"


def test_a_pause_where_a_checkpoint_was_just_saved_saves_no_other(project: Project) -> None:
    """It is told once, and it is the one that the run goes on from."""
    events = train(project, until=lambda event: isinstance(event, CheckpointSaved) and event.step == 3)
    saved = [event for event in events if isinstance(event, CheckpointSaved) and event.step == 3]
    last = events[-1]
    assert isinstance(last, Paused) and [event.path for event in saved] == [last.checkpoint]


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


def test_what_is_selected_for_the_next_run_waits_for_it(project: Project) -> None:
    """The unfinished run goes on with its own settings, says so, and leaves the selected ones."""
    config = RUN.updated({"num_epochs": 1})
    train(project, config, until=step_done(2))
    wanted = config.updated({"num_epochs": 2, "max_memory_gb": 60})
    wanted.save(project.config_file)
    events = train(project, None, "resume")
    last, notices = events[-1], [event.message for event in events if isinstance(event, Notice)]
    assert isinstance(last, Finished) and last.step == 6
    assert any("num_epochs 1 -> 2. Begin anew with them: R in the app" in message for message in notices)
    assert TrainingConfig.load(project.config_file) == wanted
    own = run_config(project)
    assert own is not None and own.num_epochs == 1 and own.max_memory_gb == 60  # no number depends on it
    begun = train(project, None, "restart", until=lambda event: isinstance(event, Started))
    assert next(event for event in begun if isinstance(event, Started)).total_steps == 12
