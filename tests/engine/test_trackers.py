"""Trackers have the figures of the metrics file, each step once, through pauses, crashes and roll-backs."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Event as StopEvent

from engine.config import TrackerName, TrainingConfig
from engine.errors import UserError
from engine.project import Project
from engine.trackers import installed
from engine.trackers.installed import is_installed
from engine.training.events import Notice, StepDone
from engine.training.trainer import Trainer
from tests.campaigns.numbers import BadNumbers
from tests.support.moments import step_done
from tests.support.tiny import RUN, files_below, train
from tests.support.tracker_files import config_in, figures_in

import numpy as np
import pytest

ALL: tuple[TrackerName, ...] = ("tensorboard", "wandb", "trackio")


@pytest.fixture(params=ALL)
def name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> TrackerName:
    """A tracker whose library is there, with all the time that a busy machine may need."""
    found: TrackerName = request.param
    if found != "tensorboard" and not is_installed(found):  # what tests need has TensorBoard's
        pytest.skip(f"the extra {found} is not installed")
    monkeypatch.setattr("engine.trackers.tracker.LIMIT_S", 500.0)
    return found


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder."""
    folder = tmp_path / "home"
    folder.mkdir()
    for variable in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(variable, str(folder))
    return folder


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """What every connection to another machine would come to."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            address = f"http://127.0.0.1:{server.getsockname()[1]}"
            monkeypatch.setenv(variable, address)
            monkeypatch.setenv(variable.lower(), address)
        server.setblocking(False)
        yield server


def with_trackers(*names: TrackerName) -> TrainingConfig:
    return RUN.updated({"trackers": names})


def require_the_same_figures(name: TrackerName, project: Project) -> None:
    """A tracker has what the metrics file has; TensorBoard's numbers are float32."""
    rows = [json.loads(line) for line in project.metrics_file.read_text().splitlines()]
    wanted = {
        row["step"]: {k: v for k, v in row.items() if k not in ("step", "time") and v is not None}
        for row in rows
    }
    if name == "tensorboard":
        wanted = {step: {k: float(np.float32(v)) for k, v in row.items()} for step, row in wanted.items()}
    assert sorted(wanted) == list(range(1, 13)) and any("val_loss" in row for row in wanted.values())
    assert figures_in(name, project) == wanted


def test_a_paused_run_goes_on_in_its_tracker(
    name: TrackerName, project: Project, home: Path, proxy: socket.socket
) -> None:
    """Same figures, each step once, the configuration; nothing in the home folder, nobody asked."""
    config = with_trackers(name)
    events = [*train(project, config, until=step_done(5)), *train(project, config)]
    assert not [event for event in events if isinstance(event, Notice) and "left out" in event.message]
    require_the_same_figures(name, project)
    known = config_in(name, project)
    assert (known["model"], known["learning_rate"], known["num_epochs"]) == ("tiny", 1e-2, 2)
    assert [file for file in files_below(home) if not file.startswith("mqlora-tui")] == []
    with pytest.raises(BlockingIOError):
        proxy.accept()


def test_a_run_cut_off_goes_on_and_what_was_not_tracked_is_made_good(
    name: TrackerName, project: Project
) -> None:
    """Two steps without a tracker; cut off in step 8, whose checkpoint is of step 6 or 8; then to the end."""
    train(project, until=step_done(2))
    events = Trainer(project, with_trackers(name), StopEvent()).run()
    for event in events:
        if isinstance(event, StepDone) and event.metrics.step == 8:
            events.close()
    train(project, with_trackers(name))
    require_the_same_figures(name, project)


def test_steps_before_a_roll_back_are_replaced(name: TrackerName, project: Project) -> None:
    """Three bad steps are made again with half the learning rate: the tracker has only these."""
    bad = BadNumbers("inf", frozenset([5, 6, 7]))

    def follow(event: object) -> bool:
        bad.at_event(event)  # type: ignore[arg-type]
        return False

    with bad.injected():
        train(project, with_trackers(name), until=follow)
    require_the_same_figures(name, project)


def test_a_new_run_begins_a_new_tracker(project: Project) -> None:
    """That of the old one is in the archive with it."""
    train(project, with_trackers("tensorboard"))
    old = files_below(project.trackers_dir)
    train(project, with_trackers("tensorboard"), mode="restart")
    require_the_same_figures("tensorboard", project)
    (archived,) = project.archive_dir.iterdir()
    assert files_below(archived / "trackers") == old


def test_a_library_that_is_missing_is_told_before_anything_is_done(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the command that installs it; nothing was written."""
    monkeypatch.setitem(installed._MODULES, "wandb", "no_such_library")
    with pytest.raises(UserError, match=r"Weights & Biases.*pip install no_such_library") as caught:
        train(project, with_trackers("wandb"))
    assert "no_such_library is not installed" in caught.value.problem
    assert not project.run_dir.exists()
