"""The shell: places, keys, help, quitting and what all screens share."""

import ast
import asyncio
import gc
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from engine.config import TrainingConfig
from engine.errors import UserError
from engine.project import Project
from engine.training.state import RunState
from tests.support.fake_engine import (
    CHECKS,
    EACH_SIZE,
    HOSTILE,
    FakeEngine,
    pretend,
    ready,
    sees,
    shown,
    wait_for,
)
from tests.support.fake_run import write_run
from tests.support.situations import visit
from tests.support.tiny import owned_by
from tui.app.app import MqloraApp
from tui.app.keys import PLACES
from tui.app.screens.hardware.check_list import CheckList
from tui.app.screens.shared.base import PlaceScreen
from tui.app.screens.shared.footer import KeyFooter
from tui.app.screens.shared.help import HelpScreen
from tui.app.screens.train.questions import LeaveTrainingScreen
from tui.app.textual_faults import patch_ast
from tui.run.controller import TrainingController

import pytest
from textual.actions import parse
from textual.binding import Binding
from textual.css.query import NoMatches
from textual.screen import Screen
from textual.widgets import Input, Static


class FakeTraining(TrainingController):
    """A run that pauses when it is told so by the test."""

    paused = 0

    @property
    def is_running(self) -> bool:
        """Whether the pause was not yet asked for."""
        return True

    def pause(self) -> bool:
        """Count the requests."""
        self.paused += 1
        return True


def training(app: MqloraApp) -> FakeTraining:
    """Make `app` believe that it trains."""
    fake = FakeTraining(app.project, app.engine)
    app.training = fake
    pretend(app, "running")
    return fake


@pytest.mark.parametrize("size", EACH_SIZE)
@pytest.mark.parametrize(("number", "mode"), list(enumerate(PLACES, start=1)))
async def test_every_place_is_reached_by_its_number(
    app: MqloraApp, size: tuple[int, int], number: int, mode: str
) -> None:
    """A number key opens its place, which names itself and shows five keys or what fits, and the help."""
    async with app.run_test(size=size) as pilot:
        await ready(pilot)
        await pilot.press(str(number))
        await wait_for(pilot, lambda: app.current_mode == mode and isinstance(app.screen, PlaceScreen))
        await wait_for(pilot, lambda: f"{number} {PLACES[mode]}" in shown(app))
        footer = str(app.screen.query_one(KeyFooter).render())
        assert "Help" in footer and len(footer) <= size[0] - 2
        assert len([part for part in footer.split("   ") if part.strip()]) <= 5 or size[0] > 80


async def test_every_place_is_in_the_command_palette(app: MqloraApp) -> None:
    """The palette offers all places by name, before anything else."""
    async with app.run_test() as pilot:
        await ready(pilot)
        titles = [command.title for command in app.commands()]
        assert titles[: len(PLACES)] == list(PLACES.values())


@pytest.mark.parametrize("mode", PLACES)
async def test_help_lists_every_key_of_the_place(app: MqloraApp, mode: str) -> None:
    """Each described binding of a place and of the app stands in the help with its key."""
    async with app.run_test(size=(120, 60)) as pilot:
        await ready(pilot)
        await visit(pilot, mode)  # what is read there may offer further keys
        place = app.screen
        place.set_focus(None)  # a line to write on takes the number keys
        app.action_help()
        await wait_for(pilot, lambda: isinstance(app.screen, HelpScreen) and "Everywhere" in shown(app))
        text = " ".join(shown(app).split())
        for binding in [*type(place).BINDINGS, *MqloraApp.BINDINGS]:
            assert isinstance(binding, Binding) and binding.id
            _namespace, action, parameters = parse(binding.action)
            if place.check_action(action, parameters) is not False:
                assert (binding.tooltip or binding.description).split()[0] in text
        await pilot.press("escape")
        assert app.screen is place


async def test_the_header_names_project_model_profile_and_run(app: MqloraApp) -> None:
    """The first line says where you are and what the run is doing, in words."""
    async with app.run_test() as pilot:
        await ready(pilot)
        pretend(app, "paused", 402)
        await wait_for(pilot, lambda: "paused at step 402" in shown(app))
        first = shown(app).splitlines()[0]
        assert "toy" in first and "BALANCED" in first and "1 Hardware" in first


async def test_the_saved_configuration_is_taken_up(project: Project, app: MqloraApp) -> None:
    """A configuration chosen in an earlier session is in use again."""
    TrainingConfig(batch_size=7).save(project.config_file)
    again = MqloraApp(project)
    assert again.config.batch_size == 7
    again.engine.close()


async def test_a_run_that_goes_on_elsewhere_is_shown_at_once(project: Project, engine: FakeEngine) -> None:
    """While another process trains here the app opens at the training, and q leaves it alone."""
    project.run_dir.mkdir()
    RunState("running", "toy", step=3).save(project.state_file)
    app = MqloraApp(project)
    with owned_by(project, os.getppid()):
        async with app.run_test() as pilot:
            await wait_for(pilot, lambda: app.current_mode == "train")
            await wait_for(pilot, lambda: "● running" in shown(app).splitlines()[0])
            await pilot.press("q")
            await wait_for(pilot, lambda: app.return_value == 0)
    app.engine.close()
    state = RunState.load(project.state_file)
    assert state is not None and state.status == "running"


async def test_a_paused_run_is_the_first_offer(project: Project, engine: FakeEngine) -> None:
    """The app opens where going on is one key away; unreadable settings are named there too."""
    write_run(project, "paused", 42)
    project.config_file.write_text('{"bach_size": 2}')
    app = MqloraApp(project)
    async with app.run_test() as pilot:
        await sees(pilot, "Paused at step 42, saved.", "Enter goes on.", "Unknown key 'bach_size'")
        assert app.current_mode == "train"
    app.engine.close()


async def test_a_broken_configuration_is_shown_and_named(project: Project, engine: FakeEngine) -> None:
    """An unreadable configuration file is said at the start; the app opens with the defaults."""
    project.run_dir.mkdir()
    project.config_file.write_text('{"bach_size": 2}')
    app = MqloraApp(project)
    async with app.run_test() as pilot:
        await ready(pilot)
        await sees(pilot, "Unknown key 'bach_size'")
        await sees(pilot, "did you mean 'batch_size'?")
    app.engine.close()


@pytest.mark.parametrize("size", EACH_SIZE)
async def test_a_refusal_shows_problem_and_fix_as_they_are(app: MqloraApp, size: tuple[int, int]) -> None:
    """Markup and control codes in an error reach the screen as plain text."""
    async with app.run_test(size=size) as pilot:
        await ready(pilot)
        app.show_error(UserError(f"Cannot read {HOSTILE}", "mend [it]"))
        await wait_for(pilot, lambda: "mend [it]" in shown(app))
        await sees(pilot, "[/INST] [bold]\\x1b[2J\\u202e")
        assert "\x1b" not in shown(app)
        await pilot.press("escape")
        await wait_for(pilot, lambda: "mend [it]" not in shown(app))


async def test_a_defect_in_a_job_is_shown_and_the_app_lives(
    app: MqloraApp, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unexpected exception in a thread does not end the app."""
    engine.data = RuntimeError("boom [/x]")
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press("3")
        await wait_for(pilot, lambda: "boom [/x]" in shown(app))
        assert app.is_running


async def test_q_leaves_at_once_when_nothing_trains(app: MqloraApp) -> None:
    """Quitting ends with status 0."""
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press("q")
        await wait_for(pilot, lambda: app.return_value is not None)
    assert app.return_value == 0


@pytest.mark.parametrize(("key", "answer"), [("q", "enter"), ("ctrl+q", "b")])
async def test_quitting_while_training_asks_saves_and_leaves(
    app: MqloraApp, key: str, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The app leaves only when the pause is saved; the run goes on in the background if that is chosen."""
    handed_over: list[object] = []
    monkeypatch.setattr("tui.app.app.hand_over", lambda project, why: handed_over.append((project, why)))
    async with app.run_test() as pilot:
        await ready(pilot)
        run = training(app)
        await pilot.press(key)
        await sees(pilot, "Enter Pause, save and leave", "b Leave and keep training", "Esc Stay")
        assert run.paused == 0
        await pilot.press(answer)
        await wait_for(pilot, lambda: run.paused == 1)
        assert app.return_value is None and not handed_over
        pretend(app, "paused", 12)
        await wait_for(pilot, lambda: app.return_value == 0)
    assert handed_over == [(app.project, "left")] * (answer == "b")


async def test_one_may_stay_after_all(app: MqloraApp) -> None:
    """Escape on the question changes nothing."""
    async with app.run_test() as pilot:
        await ready(pilot)
        run = training(app)
        await pilot.press("q")
        await wait_for(pilot, lambda: isinstance(app.screen, LeaveTrainingScreen))
        await pilot.press("escape")
        await wait_for(pilot, lambda: isinstance(app.screen, PlaceScreen))
        pretend(app, "paused", 12)
        await wait_for(pilot, lambda: app.run_state.phase == "paused")
        assert (run.paused, app.return_value) == (0, None)


@pytest.mark.parametrize("mode", PLACES)
async def test_ctrl_c_pauses_training_from_every_place(app: MqloraApp, mode: str) -> None:
    """Wherever one looks, ctrl+c asks the run to pause."""
    async with app.run_test() as pilot:
        await ready(pilot)
        run = training(app)
        app.switch_mode(mode)
        await wait_for(pilot, lambda: app.current_mode == mode)
        await pilot.press("ctrl+c")
        await wait_for(pilot, lambda: run.paused == 1)


async def test_ctrl_c_copies_where_text_is_selected(app: MqloraApp) -> None:
    """A selection in a field is copied, and training goes on."""
    async with app.run_test() as pilot:
        await ready(pilot)
        run = training(app)
        await app.screen.mount(field := Input("two words", id="probe"))
        field.focus()
        await pilot.press("home", "shift+right", "shift+right", "shift+right", "ctrl+c")
        await wait_for(pilot, lambda: app.clipboard == "two")
        assert run.paused == 0


async def test_ctrl_c_says_what_it_does_when_there_is_nothing_to_do(app: MqloraApp) -> None:
    """Without selection and training the key names a key that no line takes, and does not quit."""
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press("ctrl+c")
        await sees(pilot, "Press q to leave")
        assert app.is_running


async def test_ctrl_z_is_not_bound(app: MqloraApp) -> None:
    """Suspending would stop training too, so no binding does it."""
    async with app.run_test() as pilot:
        await ready(pilot)
        assert "ctrl+z" not in app.screen.active_bindings


async def test_the_state_of_the_run_survives_going_elsewhere(app: MqloraApp) -> None:
    """A place that was left and opened again is the same screen."""
    async with app.run_test() as pilot:
        await ready(pilot)
        first = app.screen
        await pilot.press("2")
        await wait_for(pilot, lambda: app.current_mode == "profile")
        await pilot.press("1")
        await wait_for(pilot, lambda: app.screen is first)
        assert isinstance(first.query_one("#check-text"), Static)


def test_a_defect_ends_the_app_without_a_traceback(
    app: MqloraApp, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unexpected exception in a key's action is kept for the log and not printed over the terminal."""

    def fail() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(app, "start_hardware_check", fail)
    app.run(headless=True)
    assert isinstance(app.defect, ZeroDivisionError)
    assert capsys.readouterr() == ("", "")


async def test_a_list_without_room_is_paged_without_harm(app: MqloraApp) -> None:
    """Such as one that is not drawn yet, or not in this terminal."""
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        checks = app.screen.query_one(CheckList)
        checks.display = False
        await wait_for(pilot, lambda: not checks.size)
        checks.show(CHECKS)
        checks.highlighted = 1
        await app.run_action("page_down", checks)
        await app.run_action("page_up", checks)
        assert checks.highlighted == 1


class Late(Screen[None]):
    """Looks for a widget that is not there."""

    has_looked = False

    def on_mount(self) -> None:
        """Look for it."""
        self.has_looked = True
        self.query_one(Input)


async def test_a_screen_that_comes_too_late_is_no_defect(app: MqloraApp) -> None:
    """One that is opened while the app ends loses its widgets before it is there."""
    async with app.run_test() as pilot:
        await ready(pilot)
        late = Late()
        app.exit(0)
        app.push_screen(late)
        while not late.has_looked:  # the app takes no more of the pilot's questions
            await asyncio.sleep(0)
    assert app.defect is None and app.return_value == 0


async def test_a_screen_without_its_widgets_is_a_defect_at_all_other_times(app: MqloraApp) -> None:
    """It ends the app, which tells of it."""
    with pytest.raises(NoMatches):
        async with app.run_test() as pilot:
            await ready(pilot)
            app.push_screen(Late())
            await wait_for(pilot, lambda: app.defect)
    assert isinstance(app.defect, NoMatches)


def test_threads_may_read_python_at_the_same_time() -> None:
    """Keys and charts do: a thread that another one interrupted got an error of Python's own."""
    patch_ast()
    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(1e-6)
    gc.set_threshold(20)
    text = f"({'[1, (2, 3)], ' * 300})"
    ready, until = threading.Barrier(4), time.monotonic() + 3

    def read(depth: int) -> None:
        if depth:
            return read(depth - 1)
        ready.wait()
        while time.monotonic() < until:
            garbage = [Garbage() for _ in range(20)]
            del garbage
            assert len(ast.literal_eval(text)) == 300
        return None

    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(read, (0, 10, 20, 30)))
    finally:
        sys.setswitchinterval(interval)
        gc.set_threshold(*thresholds)


class Garbage:
    """Is found by the collector, and runs Python when it is."""

    def __init__(self) -> None:
        self.me = self

    def __del__(self) -> None:
        sum(range(50))
