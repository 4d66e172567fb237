"""`max_steps` ends a run in whatever epoch: validated, saved, exact under resume, and said in the report."""

from engine.analysis.summary import summarise
from engine.analysis.verdict import judge
from engine.estimate import planned_steps
from engine.project import Project
from engine.training.events import CheckpointSaved, Evaluated, Event, Finished, Started, StepDone
from engine.training.schedule import learning_rate
from tests.campaigns.common import outcome
from tests.engine.conftest import copy_of
from tests.support.moments import step_done
from tests.support.tiny import RUN, metrics_rows, train

import pytest

LIMITED = RUN.updated({"max_steps": 11, "eval_every": 0, "save_every": 0})


@pytest.fixture(scope="module")
def limited(template: Project, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, list[Event]]:
    """Eleven of the twelve steps, validated and saved only where an epoch or the run ends."""
    project = copy_of(template, tmp_path_factory.mktemp("limited") / "project")
    return project, train(project, LIMITED)


def test_the_last_step_is_validated_and_saved(limited: tuple[Project, list[Event]]) -> None:
    """Although it ends no epoch; the learning rate falls over the steps there are."""
    project, events = limited
    begun = next(event for event in events if isinstance(event, Started))
    assert (begun.total_steps, begun.steps_per_epoch) == (11, 6)
    assert [event.metrics.step for event in events if isinstance(event, StepDone)] == list(range(1, 12))
    assert [event.step for event in events if isinstance(event, Evaluated)] == [0, 6, 11]
    assert [event.step for event in events if isinstance(event, CheckpointSaved)] == [0, 6, 11]
    assert isinstance(events[-1], Finished) and events[-1].reason == "completed"
    rates = [row["learning_rate"] for row in metrics_rows(project)]
    assert rates == [learning_rate(step, 11, LIMITED) for step in range(1, 12)]


@pytest.mark.parametrize("step", [3, 7])
def test_a_paused_run_ends_in_the_same_bytes(
    project: Project, limited: tuple[Project, list[Event]], step: int
) -> None:
    """Before and after the end of the epoch."""
    train(project, LIMITED, until=step_done(step))
    train(project, None, "resume")
    assert outcome(project) == outcome(limited[0])


def test_a_limit_beyond_the_epochs_changes_nothing(
    project: Project, finished: tuple[Project, list[Event]]
) -> None:
    """Epochs end the run first."""
    train(project, RUN.updated({"max_steps": 13}))
    assert outcome(project) == outcome(finished[0])


@pytest.mark.parametrize(("limit", "steps"), [(0, 12), (1, 1), (11, 11), (12, 12), (13, 12)])
def test_the_steps_are_known_beforehand(limit: int, steps: int) -> None:
    """22 rows, 4 a step, twice."""
    assert planned_steps(RUN.updated({"max_steps": limit}), 22) == steps


def test_the_report_says_what_ended_the_run(limited: tuple[Project, list[Event]]) -> None:
    """And the way on is to take the limit away, not more epochs."""
    summary = summarise(limited[0])
    assert summary.is_cut_short and summary.num_epochs == 2
    (advice,) = [advice for advice in judge(summary).advice if advice.kind == "underfitting"]
    assert "at step 11, where max_steps ended the run" in advice.text
    assert advice.command.endswith("--set max_steps=0")
