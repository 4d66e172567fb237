"""The training screen while another process trains, or where one was cut off."""

import os
import signal

from engine.config import TrainingConfig
from engine.errors import UserError
from tests.support.fake_engine import EACH_SIZE, sees, sees_no_more, shown, wait_for
from tests.support.fake_run import USAGE, append, metrics, write_run, write_state
from tests.support.tiny import owned_by
from tests.support.training_screen import Factory, open_train, use
from tui.app.app import MqloraApp

import pytest
from textual.pilot import Pilot


async def test_a_run_of_another_process_is_followed(app: MqloraApp) -> None:
    """Its steps appear from the files; starting here is refused."""
    parent = os.getppid()
    write_run(app.project, "running", 30)
    factory = use(app, Factory())
    with owned_by(app.project, parent):
        async with app.run_test(size=(80, 24)) as pilot:
            await follow_the_other(pilot, app, parent)
    assert factory.modes == []


async def follow_the_other(pilot: Pilot[int], app: MqloraApp, parent: int) -> None:
    await open_train(pilot)
    await wait_for(pilot, lambda: f"Process {parent} trains" in shown(app) and "step 30/60" in shown(app))
    await pilot.press("enter")
    append(app.project, metrics(31))
    write_state(
        app.project,
        "running",
        31,
        last_checkpoint="checkpoint_epoch1_step31",
        usage=USAGE,
    )
    await wait_for(
        pilot, lambda: "step 31/60" in shown(app) and "checkpoint_epoch1_step31 saved" in shown(app)
    )
    for part in ("padding 25 %", "shapes 3", "eval 12 %"):
        await sees(pilot, part)
    with pytest.raises(UserError, match=str(parent)):
        app.training.start(TrainingConfig())


async def test_ctrl_c_pauses_a_run_of_another_process(
    app: MqloraApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second Ctrl+C, or Enter, is a yes; asked once. One on another machine is left alone."""
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr("os.kill", lambda pid, number: asked.append((pid, number)))
    monkeypatch.setattr("tui.run.other_process.may_train", lambda _process, _lock: True)
    parent = os.getppid()
    write_run(app.project, "running", 30)
    with owned_by(app.project, parent):
        async with app.run_test(size=(80, 24)) as pilot:
            await open_train(pilot)
            await pilot.press("ctrl+c")
            await sees(pilot, "Pause a run of another process?", f"Process {parent} trains, not this app")
            await pilot.press("escape")
            await sees_no_more(pilot, "Pause a run")
            assert asked == []
            await pilot.press("ctrl+c")
            await sees(pilot, "Pause a run of another process?")
            await pilot.press("ctrl+c")
            await wait_for(pilot, lambda: asked == [(parent, signal.SIGINT)])
            await sees(pilot, "is asked to pause")
            await pilot.press("ctrl+c")
            await sees(pilot, "The run is asked to pause; it saves")
    with owned_by(app.project, parent, "elsewhere"):
        assert not app.training.pause()
    assert not app.training.pause()
    assert len(asked) == 1


async def test_a_process_that_cannot_be_asked_to_pause_is_no_defect(
    app: MqloraApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that has just ended, or belongs to another user, is said not to be there."""

    def refuse(_pid: int, _number: int) -> None:
        raise ProcessLookupError

    monkeypatch.setattr("tui.run.controller.os.kill", refuse)
    with owned_by(app.project, os.getppid()):
        assert app.training.other_process()
        assert not app.training.pause()


@pytest.mark.parametrize("size", EACH_SIZE)
async def test_a_run_that_was_cut_off_is_not_called_saved(app: MqloraApp, size: tuple[int, int]) -> None:
    """After a crash the screen says so, and Enter goes on from the last checkpoint."""
    write_run(app.project, "running", 42)
    factory = use(app, Factory())
    factory.gate.set()
    async with app.run_test(size=size) as pilot:
        await open_train(pilot)
        await wait_for(pilot, lambda: "Cut off at step 42 of 60: the process ended" in shown(app))
        assert "cut off at step 42" in shown(app).splitlines()[0]
        await sees_no_more(pilot, "saved")
        await pilot.press("enter")
        await wait_for(pilot, lambda: factory.modes == ["auto"])
