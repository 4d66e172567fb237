"""Told to stop in any way, a run is saved and its program ends cleanly; and the campaign sees if not."""

import shutil
from functools import partial
from pathlib import Path

from engine.project import Project
from tests.campaigns.common import broken
from tests.campaigns.plugin import Show
from tests.campaigns.signal_cases import CTRL_C, HANG_UP, STALLED, TRAINING, Case, all_cases
from tests.campaigns.signal_checks import end_of_background, resumed
from tests.campaigns.signals import attempt, tried
from tests.support.tiny import RUN, tiny_project, train

import pytest

# A lost connection, and a key on a terminal that nobody reads.
WORST = (Case("app", TRAINING, HANG_UP), Case("app", STALLED, CTRL_C))


@pytest.mark.parametrize(
    ("case", "tries"),
    [
        *(pytest.param(case, 1, marks=pytest.mark.slow, id=f"{case}, short") for case in WORST),
        *(pytest.param(case, 5, marks=pytest.mark.campaign, id=str(case)) for case in all_cases()),
    ],
    indirect=["tries"],
)
def test_told_to_stop_in_any_way_a_run_is_saved(case: Case, tries: int, show: Show) -> None:
    """The campaign; its short form has the worst cases."""
    results = [tried(case.name, tries, partial(attempt, case))]
    show("Signals and lost terminals", results)
    assert broken(results) == []


def test_every_combination_is_tried_once() -> None:
    """No case is named twice, and those that make no sense are left out."""
    names = [case.name for case in all_cases()]
    assert len(names) == len(set(names)) == 58
    assert not any("hang-up, stalled" in name for name in names)


@pytest.fixture
def paused(tmp_path: Path) -> Project:
    """A run that is paused at step 3."""
    project = tiny_project(tmp_path)
    train(project, RUN, until=lambda event: getattr(event, "step", 0) == 3)
    return project


def test_a_whole_pause_has_no_faults(paused: Project) -> None:
    """The run goes on from the checkpoint of its last step."""
    assert resumed(paused, 3) == []


def test_a_checkpoint_that_is_missing_is_seen(paused: Project) -> None:
    """A run that would go back is not called saved."""
    shutil.rmtree(paused.run_dir / "checkpoint_epoch0_step3")
    assert any("not of step 3" in fault for fault in resumed(paused, 3))


def test_a_lost_line_is_seen(paused: Project) -> None:
    """Metrics with a hole are a broken promise."""
    for path in (paused.metrics_file, paused.metrics_csv):
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(line for line in lines if not line.startswith(('{"step": 1,', "1,"))))
    assert any("metrics have the steps" in fault for fault in resumed(paused, 3))


def test_a_run_that_does_not_go_on_by_itself_is_seen(
    paused: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hand-over without a background process is a broken promise."""
    monkeypatch.setattr("tests.campaigns.signal_checks.LIMIT_S", 0.1)
    assert end_of_background(paused, 3) == ["nothing went on in the background after step 3"]
