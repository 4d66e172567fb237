"""The help: one true line for each key that works in a place, and for no other."""

from collections import Counter

from engine.dataset.report import Fault, Place
from engine.hardware.report import Check
from engine.project import Project
from engine.training.answers import Answer, AnswersWriter
from tests.support.fake_engine import SIZES, FakeEngine, data_report, hardware_report, ready, sees, wait_for
from tests.support.fake_run import write_run
from tui.app.app import MqloraApp
from tui.app.key_help import is_own
from tui.app.keys import PLACES
from tui.app.screens.report.report import ReportScreen
from tui.app.screens.shared.help import HelpScreen
from tui.app.screens.train.train import TrainScreen

import pytest
from textual.binding import ActiveBinding, Binding
from textual.pilot import Pilot

FAULTS = (
    Fault("train.jsonl", 3, None, "empty_prompt", "error", "no prompt", "write one"),
    Fault("train.jsonl", 2, None, "duplicate", "warning", "twice", "drop one", Place("train.jsonl", 1)),
)
WITHOUT_EFFECT = {
    *("left", "right", "ctrl+pageup", "ctrl+pagedown"),  # nothing is wider than the screen
    *("up", "down", "pageup", "pagedown", "home", "end"),  # where all of a text is to be seen
    *("tab", "shift+tab"),  # where there is one part only
}
"""Keys that Textual binds everywhere."""
UNSENT = ("super+", "alt+", "ctrl+shift+")
"""No terminal, or hardly one, sends them."""


def write_answers(project: Project) -> None:
    """Write answers to two questions, as a run does."""
    writer = AnswersWriter(project, 30)
    for question, step in (("A?", None), ("A?", 10), ("A?", 20), ("B?", 10)):
        writer.write(Answer(step, question, "yes", "complete", 1, 0.1, 0.1, 9.0))
    writer.close()


async def open_place(pilot: Pilot[int], place: str) -> MqloraApp:
    """Go to a place, or by a key of the data screen to one above it, and wait until its keys are known."""
    app = await ready(pilot)
    mode, _plus, key = place.partition("+")
    app.switch_mode(mode)
    await wait_for(pilot, lambda: app.current_mode == mode and app.screen.is_mounted)
    if mode == "data":
        await wait_for(pilot, lambda: app.data is not None and not app.data_progress)
        await sees(pilot, "line 1" if not app.data or not app.data.faults else "line 3")
    if isinstance(screen := app.screen, ReportScreen):
        await wait_for(pilot, lambda: screen.summary)
    if isinstance(screen, TrainScreen):
        await sees(pilot, "Paused at step 30")
    if key:
        before = app.screen
        await pilot.press(key)
        await wait_for(pilot, lambda: app.screen is not before and app.screen.focused)
    return app


async def help_of(pilot: Pilot[int], app: MqloraApp) -> tuple[HelpScreen, dict[str, ActiveBinding]]:
    """Open the help; return it and the keys that worked before."""
    await pilot.pause()
    active = app.screen.active_bindings
    await pilot.press("f1")
    await wait_for(pilot, lambda: isinstance(app.screen, HelpScreen))
    assert isinstance(app.screen, HelpScreen)
    return app.screen, active


@pytest.mark.parametrize("place", [*PLACES, "data+x", "data+p", "train+w"])
@pytest.mark.parametrize("lacks", [True, False])
async def test_each_key_of_a_place_has_one_true_line(
    app: MqloraApp, engine: FakeEngine, project: Project, place: str, lacks: bool
) -> None:
    """With and without something to be mended, written, dismissed."""
    write_run(project, "paused", 30)
    if place == "train+w":
        write_answers(project)
    if lacks:
        engine.hardware = hardware_report(Check("model", "Model", "none", "error", "None", "get one"))
    if lacks or place == "data+p":
        engine.data = data_report(*FAULTS)
    async with app.run_test(size=SIZES[0]) as pilot:
        await open_place(pilot, place)
        screen, active = await help_of(pilot, app)
        lines = [line for section in screen.sections.values() for line in section]
        listed = Counter(key for line in lines for key in line.keys)
        assert set(listed.values()) == {1}, "no key twice"
        assert set(listed) <= set(active), "none that does not work"
        assert {key for key, binding in active.items() if is_own(binding)} <= set(listed), "none is missing"
        others = {key for key, binding in active.items() if binding.enabled} - set(listed)
        assert {key for key in others if not key.startswith(UNSENT)} <= WITHOUT_EFFECT, "nor one of Textual's"
        for line in lines:
            for key in line.keys:
                binding = active[key]
                assert not is_own(binding) or line.text == (binding.tooltip or binding.binding.description)
        texts = [line.text for line in lines]
        assert len(set(texts)) == len(texts), "no meaning twice"


async def test_what_cannot_be_done_now_is_not_listed(app: MqloraApp) -> None:
    """Without a note Escape dismisses nothing; with one it does."""
    async with app.run_test() as pilot:
        await ready(pilot)
        screen, _active = await help_of(pilot, app)
        assert not any("Dismiss" in line.text for lines in screen.sections.values() for line in lines)
        await pilot.press("escape", "ctrl+c")
        await sees(pilot, "Nothing is training")
        screen, _active = await help_of(pilot, app)
        assert any("Dismiss" in line.text for lines in screen.sections.values() for line in lines)


async def test_the_keys_are_named_as_on_the_keyboard(app: MqloraApp) -> None:
    """Each by itself, also where the footer shows two as one."""
    async with app.run_test(size=SIZES[0]) as pilot:
        await open_place(pilot, "profile")
        await help_of(pilot, app)
        await sees(pilot, "← Look at the profile to the left", "→ Look at the profile to the right")


def test_one_key_writes_the_sample_everywhere() -> None:
    """Whatever place offers it."""
    from tui.app.screens.data.data import DataScreen
    from tui.app.screens.hardware.hardware import HardwareScreen

    keys = [
        binding.key
        for screen in (HardwareScreen, DataScreen)
        for binding in screen.BINDINGS
        if isinstance(binding, Binding) and binding.action == "write_demo"
    ]
    assert len(keys) == 2 and len(set(keys)) == 1


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("q", "q"), ("D", "D"), ("ctrl+b", "Ctrl+B"), ("f6", "F6"), ("shift+home", "Shift+Home"),
        ("question_mark", "?"), ("shift+right", "Shift+→"), ("escape", "Esc"), ("pageup", "PgUp"),
    ],
)  # fmt: skip
def test_keys_are_called_as_they_stand_on_the_keyboard(app: MqloraApp, key: str, shown: str) -> None:
    """The same way wherever they are shown."""
    assert app.get_key_display(Binding(key, "bell")) == shown
