"""`t` brings a run of another process into the app."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack

from engine.config import TrainingConfig
from engine.project import Project
from engine.training.state import Status
from tests.support.fake_engine import ready, sees, sees_no_more, shown, wait_for
from tests.support.fake_run import write_run, write_state
from tests.support.tiny import owned_by
from tests.support.training_screen import Factory, open_train, use
from tui.app.app import MqloraApp

import pytest
from textual.pilot import Pilot


class Neighbour:
    """Another process that trains, and does with a pause what the test says."""

    def __init__(self, project: Project, asked: list[tuple[int, int]]) -> None:
        self.asked = asked
        """Processes and signals, in order."""
        self._project = project
        self._lock = ExitStack()
        write_run(project, "running", 30)
        self._lock.enter_context(owned_by(project, os.getppid()))

    def ends(self, status: Status) -> None:
        """Write the last state and give the run up."""
        write_state(self._project, status, 31)
        self._lock.close()


@pytest.fixture
def neighbour(app: MqloraApp, monkeypatch: pytest.MonkeyPatch) -> Iterator[Neighbour]:
    """A run in another process, which the app of the test follows."""
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr("os.kill", lambda pid, number: asked.append((pid, number)))
    monkeypatch.setattr("tui.run.other_process.may_train", lambda _process, _lock: True)
    neighbour = Neighbour(app.project, asked)
    yield neighbour
    neighbour.ends("paused")


async def ask(pilot: Pilot[int], app: MqloraApp, neighbour: Neighbour) -> None:
    """Press t, say yes, and see that the other process was asked."""
    await open_train(pilot)
    await wait_for(pilot, lambda: "t Take over" in shown(app))
    await pilot.press("t")
    await sees(pilot, "Take the run over?", f"Process {os.getppid()} saves a checkpoint")
    assert neighbour.asked == []
    await pilot.press("enter")
    await wait_for(pilot, lambda: neighbour.asked == [(os.getppid(), signal.SIGINT)])
    await wait_for(pilot, lambda: f"Process {os.getppid()} is asked to pause" in shown(app))


async def test_a_run_goes_on_here_when_it_is_saved_there(app: MqloraApp, neighbour: Neighbour) -> None:
    """Asked, waited for, resumed; meanwhile the key is not offered twice."""
    factory = use(app, Factory())
    factory.gate.set()
    async with app.run_test(size=(80, 24)) as pilot:
        await ask(pilot, app, neighbour)
        await wait_for(pilot, lambda: "t Take over" not in shown(app))
        assert factory.modes == []
        neighbour.ends("paused")
        await wait_for(pilot, lambda: factory.modes == ["resume"])
        await wait_for(pilot, lambda: app.run_state.phase == "finished")


async def test_a_run_that_was_paused_and_goes_on_there_is_not_pausing(
    app: MqloraApp, neighbour: Neighbour
) -> None:
    """The other app keeps its process and its run; only the session is another."""
    app.training.pause()
    assert app.training.status().phase == "pausing"
    write_state(app.project, "running", 31, started="2026-01-01T00:00:00+00:00")
    assert app.training.status().phase == "running"
    app.training.pause()
    assert app.training.status().phase == "pausing"


async def test_a_run_that_gets_ready_is_pausing_once_it_was_asked(
    app: MqloraApp, neighbour: Neighbour
) -> None:
    """It has not said yet which session it makes."""
    write_state(app.project, "paused", 30)
    app.training.pause()
    for status in ("paused", "running"):
        write_state(app.project, status, 30)
        assert app.training.status().phase == "pausing"


async def test_a_run_that_finishes_first_stays_finished(app: MqloraApp, neighbour: Neighbour) -> None:
    """Nothing is started; the end is shown."""
    factory = use(app, Factory())
    async with app.run_test(size=(80, 24)) as pilot:
        await ask(pilot, app, neighbour)
        neighbour.ends("finished")
        await wait_for(pilot, lambda: "finished the run before" in shown(app))
        await wait_for(pilot, lambda: app.run_state.phase == "finished")
    assert factory.modes == []


async def test_a_process_that_dies_is_said_to_have(app: MqloraApp, neighbour: Neighbour) -> None:
    """The user decides about the last checkpoint."""
    factory = use(app, Factory())
    async with app.run_test(size=(80, 24)) as pilot:
        await ask(pilot, app, neighbour)
        neighbour.ends("running")
        await wait_for(pilot, lambda: "ended without a pause" in shown(app))
        await wait_for(pilot, lambda: app.run_state.phase == "interrupted")
    assert factory.modes == []


async def test_a_process_that_does_not_react_is_said_not_to(
    app: MqloraApp, neighbour: Neighbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the limit the app waits no longer."""
    monkeypatch.setattr("tui.run.other_process.LIMIT_S", 0.3)
    factory = use(app, Factory())
    async with app.run_test(size=(80, 24)) as pilot:
        await ask(pilot, app, neighbour)
        await wait_for(pilot, lambda: "has not paused within" in shown(app))
        assert not app.training.is_taking_over
    assert factory.modes == []


async def test_a_run_of_another_machine_is_not_offered(app: MqloraApp) -> None:
    """It cannot be asked from here."""
    write_run(app.project, "running", 30)
    with owned_by(app.project, os.getppid(), "elsewhere"):
        async with app.run_test(size=(80, 24)) as pilot:
            await open_train(pilot)
            await wait_for(pilot, lambda: "step 30/60" in shown(app))
            await sees_no_more(pilot, "Take over")


async def test_a_run_of_another_user_is_not_said_to_be_asked(app: MqloraApp) -> None:
    """Neither for a pause nor for its run: the first line says so, and Ctrl+C says why."""
    write_run(app.project, "running", 30)
    with owned_by(app.project, os.getppid()):
        async with app.run_test(size=(120, 40)) as pilot:
            await open_train(pilot)
            await wait_for(pilot, lambda: "trains; it cannot be paused from here." in shown(app))
            await sees_no_more(pilot, "Take over")
            await sees_no_more(pilot, "Pause")
            await pilot.press("t", "ctrl+c")
            await wait_for(pilot, lambda: "cannot be asked from here" in shown(app))
            assert "is asked to pause" not in shown(app) and "Nothing is training" not in shown(app)


async def test_a_lost_connection_is_reported_at_the_next_start(app: MqloraApp) -> None:
    """The app opens at the training and says what happened, even if the run has ended since."""
    write_run(app.project, "paused", 42)
    handover = '{"time": "2026-01-01T08:00:00+00:00", "step": 30}'
    (app.project.run_dir / "handover.json").write_text(handover)
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_for(pilot, lambda: "lost on 2026-01-01" in shown(app) and "to step 42" in shown(app))
        assert app.current_mode == "train"


async def test_what_other_processes_do_is_noticed_in_every_place(
    app: MqloraApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that begins and ends, and the settings that somebody selects."""
    monkeypatch.setattr("tui.app.app.LOOK_SECONDS", 0.05)
    write_run(app.project, "finished")
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("7")
        await sees(pilot, "✓ finished")
        chosen = TrainingConfig(model="toy", max_steps=12)
        chosen.save(app.project.config_file)
        with owned_by(app.project, os.getppid()):
            await sees(pilot, "● running")
        await wait_for(pilot, lambda: app.config == chosen)
        await sees_no_more(pilot, "● running")
