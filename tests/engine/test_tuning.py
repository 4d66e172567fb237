"""Tuning: finalists are the runs that `train` makes, what was ended goes on to the same result."""

import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from threading import Event as StopEvent

from engine.errors import UserError
from engine.project import Project
from engine.training.events import CheckpointSaved, Event, StepDone
from engine.training.state import RunState
from engine.tuning.plan import FIRST_SHARE, candidates
from engine.tuning.result import TuningResult
from engine.tuning.state import Tuning, key_of, load_tuning, planned
from engine.tuning.tuner import OnEvent, Tuner
from tests.support.tiny import RUN, owned_by, pairs, tiny_project, train, write_rows

import pytest

CHOSEN = RUN.updated({"learning_rate": 1e-4, "num_epochs": 3})
RATES = (1e-3, 3e-2, 6e-2)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Model and data, only ever copied: 15 steps, validated every 4 and after each epoch of 5, a third."""
    return tiny_project(tmp_path_factory.mktemp("tuned") / "project", train=20, valid=12)


@pytest.fixture
def project(template: Project, tmp_path: Path) -> Project:
    return Project(Path(shutil.copytree(template.root, tmp_path / "project")))


def tuning_of(project: Project) -> Tuning:
    if before := load_tuning(project):
        return before
    return planned(project, key_of(project, CHOSEN), candidates(CHOSEN, RATES, (), (), None), CHOSEN)


def tuned(
    project: Project, stop: StopEvent | None = None, on_event: OnEvent = lambda event: None
) -> tuple[TuningResult | None, list[tuple[int, float]]]:
    """Tune; return what was found, and which runs were trained how far."""
    ran: list[tuple[int, float]] = []
    tuner = Tuner(
        project, CHOSEN, tuning_of(project), stop or StopEvent(), lambda *run: ran.append(run), on_event
    )
    return tuner.run(), ran


def test_the_better_half_is_trained_to_the_end_and_is_the_run_of_train(project: Project) -> None:
    """To the byte; the present run is not touched; the best is better, on held-out rows, too."""
    write_rows(project.test_file, pairs(10, start=300))
    train(project, RUN.updated({"num_epochs": 1}))
    before = {path: path.read_bytes() for path in project.adapters_dir.iterdir()}
    result, ran = tuned(project)
    assert result is not None
    assert [place for place, share in ran if share < 1] == [0, 1, 2, 3]
    assert [place for place, share in ran if share == 1] == [0, 2, 3]
    assert [each.steps for each in result.tried] == [15, 5, 15, 15]
    assert [each.is_final for each in result.tried] == [True, False, True, True]
    losses = [each.loss for each in result.tried]
    assert result.best == min((2, 3), key=lambda place: losses[place] or 0.0)
    gain, best = result.gain, result.tried[result.best]
    assert result.outcome == "better" and gain is not None and best.loss is not None
    assert (
        gain.mean == pytest.approx((losses[0] or 0.0) - best.loss, abs=1e-3) and gain.mean > gain.margin > 0
    )
    assert result.held_out is not None and result.held_out.loss.value < 0 and result.held_out.rows == 10
    assert {path: path.read_bytes() for path in project.adapters_dir.iterdir()} == before
    alone = Project(project.root, "alone")
    train(alone, CHOSEN.updated({"learning_rate": RATES[result.best - 1]}))
    there = project.archive_dir / best.folder
    assert (there / "adapters/adapters.safetensors").read_bytes() == alone.adapter_file.read_bytes()


@pytest.mark.slow
def test_what_was_stopped_or_killed_goes_on_to_the_same(project: Project, tmp_path: Path) -> None:
    """After a pause in a first part, and after a kill in a last one; nothing is trained twice."""
    whole, _ran = tuned(Project(Path(shutil.copytree(project.root, tmp_path / "whole"))))
    stop = StopEvent()

    def pause(event: Event) -> None:
        if isinstance(event, StepDone) and event.metrics.step == 3:
            stop.set()

    result, ran = tuned(project, stop, pause)
    assert result is None and ran == [(0, FIRST_SHARE)]
    state = RunState.load(tuning_of(project).projects(project)[0].state_file)
    assert state is not None and (state.status, state.step) == ("paused", 3)
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from engine.project import Project\n"
        "from engine.training.events import StepDone\n"
        "from tests.engine import test_tuning\n"
        "def kill(event):\n"
        "    if isinstance(event, StepDone) and event.metrics.step == 11:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "test_tuning.tuned(Project(Path(sys.argv[1])), None, kill)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(project.root)], cwd=Path(__file__).parents[2])
    assert killed.returncode == -signal.SIGKILL
    result, ran = tuned(project)
    assert ran == [(0, 1.0), (2, 1.0), (3, 1.0)]
    assert result is not None and whole is not None
    found = [[replace(each, seconds=0.0) for each in one.tried] for one in (result, whole)]
    assert found[0] == found[1]
    assert (result.best, result.outcome, result.gain) == (whole.best, whole.outcome, whole.gain)
    assert tuned(project) == (result, [])


def test_nothing_begins_beside_another_run(project: Project) -> None:
    """And no other begins beside a tuning."""
    with owned_by(project, 1), pytest.raises(UserError, match="is training in"):
        tuned(project)
    refused: list[UserError] = []

    def begin(event: Event) -> None:
        if isinstance(event, CheckpointSaved) and not refused:
            with pytest.raises(UserError, match="is training in") as error:
                train(project, RUN)
            refused.append(error.value)

    stop = StopEvent()

    def once(event: Event) -> None:
        begin(event)
        if refused:
            stop.set()

    assert tuned(project, stop, once)[0] is None and len(refused) == 1
