"""The list of places, and whatever lies over a place, survive what is typed into them, however fast."""

import ast
from typing import Any

from tests.support.bursts import NAMED, burst
from tests.support.fake_engine import ready, sees, sees_no_more, wait_for
from tests.support.portuguese import ROOT
from tui.app.app import MqloraApp
from tui.app.screens.data.line_number import LineNumberScreen
from tui.app.screens.shared.base import PlaceScreen
from tui.app.screens.shared.dialog import Closing, ConfirmScreen
from tui.app.screens.shared.palette import Command, Palette

import pytest
from textual.events import Key
from textual.widgets import Input

KEYS = {"\x10": "ctrl+p", "⇟": "pagedown", "⇞": "pageup", "⇱": "home", "⇲": "end"}
BURSTS = (
    "\r\r", "\r\r\r\r", "⇟", "⇟⇞⇱⇲⎋", "zzz⇟⇞↓↑\r\r", "rep\r\r", "⎋⎋", "⎋\r", "\r⎋", "\x10\r\r\x10⎋",
    "zzz\x7f\x7f\x7f⇟\r\r",
)  # fmt: skip


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hand keys on at once, as on a machine so slow that they are no longer handled in turn."""
    monkeypatch.setattr("tui.app.input_order.PATIENCE_S", 0)
    monkeypatch.setattr("tests.support.bursts.NAMED", NAMED | KEYS)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("is_open", [True, False], ids=["open", "opening"])
@pytest.mark.parametrize("keys", BURSTS)
async def test_any_burst_leaves_the_app_in_order(app: MqloraApp, keys: str, is_open: bool) -> None:
    """Also the same key twice, in a list with nothing in it, and before the list is there."""
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        if is_open:
            await pilot.press("ctrl+p")
            await sees(pilot, "Go to Hardware")
            burst(app, keys)
        else:
            burst(app, f"\x10{keys}")
        await pilot.press("escape", "escape", "ctrl+p")
        await wait_for(pilot, lambda: isinstance(app.focused, Input))
        await pilot.press("escape")
        await sees_no_more(pilot, "Where to?")


@pytest.mark.parametrize("typed", ["maquina", "Máquina", "MÁQ"])
def test_a_name_is_found_without_its_accents(typed: str) -> None:
    """Not every keyboard has them; the letters that fit are those of the name as it is written."""
    palette = Palette([])
    fits, letters = palette._match(typed, Command("Ir para Máquina", "", "1", ""))
    assert fits and "".join("Ir para Máquina"[at] for at in letters) == "Máquina"[: len(typed)]


@pytest.mark.parametrize("kind", [LineNumberScreen, PlaceScreen])
async def test_a_screen_over_a_place_closes_once(app: MqloraApp, kind: type[Closing[Any]]) -> None:
    """However often it is told to before it is gone."""
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        place, over = app.screen, kind()
        app.push_screen(over)
        await wait_for(pilot, lambda: over.is_current)
        over.dismiss()
        over.dismiss()
        await wait_for(pilot, lambda: app.screen is place)


async def test_a_dialog_below_another_closes_after_it(app: MqloraApp) -> None:
    """What lies over it stays, and the first answer is told when that is closed."""
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        place, below, answers = app.screen, LineNumberScreen(), list[int | None]()
        app.push_screen(below, answers.append)
        await wait_for(pilot, lambda: below.is_current)
        await pilot.press("ctrl+p")
        await sees(pilot, "Where to?")
        below.dismiss(3)
        below.dismiss(4)
        await pilot.pause()
        assert app.screen not in (place, below) and not answers
        await pilot.press("escape", "escape")
        await wait_for(pilot, lambda: app.screen is place and answers)
        assert answers == [3]


async def test_a_dialog_of_another_place_closes_there(app: MqloraApp) -> None:
    """The place that is shown meanwhile keeps its own."""
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        below, above, answers = LineNumberScreen(), LineNumberScreen(), list[int | None]()
        app.push_screen(below, answers.append)
        await wait_for(pilot, lambda: below.is_current)
        await app.switch_mode("profile")
        app.push_screen(above)
        await wait_for(pilot, lambda: above.is_current)
        below.dismiss(3)
        await pilot.pause()
        assert app.screen is above and not answers
        await app.switch_mode("hardware")
        await wait_for(pilot, lambda: answers)
        assert answers == [3] and len(app.screen_stack) == 1


async def test_what_is_typed_ahead_of_the_list_is_found_in_it(app: MqloraApp) -> None:
    """The keys that open it, the name and Enter come together."""
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        app.post_message(Key("ctrl+p", None))
        burst(app, "rep\r")
        await wait_for(pilot, lambda: app.current_mode == "report" and app.screen.is_current)


async def test_a_name_that_nothing_has_is_reported(app: MqloraApp) -> None:
    """Enter then does nothing, and the list is back without the text; what editors are left with leaves."""
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("ctrl+p", *"zzz", "enter")
        await sees(pilot, "No place and no command is called so.")
        await pilot.press(*["backspace"] * 3)
        await sees(pilot, "Go to Hardware")
        await pilot.press(*":q!")
        await sees(pilot, "Quit  q")
        await pilot.press("enter")
        await wait_for(pilot, lambda: app.return_code == 0)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (5, 2), (7, 3), (9, 9)])
async def test_the_list_is_drawn_in_any_terminal(app: MqloraApp, size: tuple[int, int]) -> None:
    """Also where there is no column left for it: a window may be any size on its way to another."""
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("ctrl+p")
        await sees(pilot, "Go to Hardware")
        await pilot.resize_terminal(*size)
        await pilot.resize_terminal(80, 24)
        await sees(pilot, "Go to Hardware")


@pytest.mark.parametrize("unasked", [[], [None]], ids=["once", "twice"])
async def test_a_dialog_that_has_to_read_first_waits_for_its_place(
    app: MqloraApp, unasked: list[None]
) -> None:
    """What was opened meanwhile stays on top; of a key that is pressed twice one dialog opens."""
    answers: list[bool | None] = []
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        place = app.screen
        assert isinstance(place, PlaceScreen)

        async def ask() -> None:
            answer = await place.answer_to(ConfirmScreen("Late", "Really?", "yes", "no"))
            answers.append(answer)

        await pilot.press("ctrl+p")
        await sees(pilot, "Go to Hardware")
        for _press in (1, *unasked):
            place.run_worker(ask())
        await wait_for(pilot, lambda: answers == unasked)
        await pilot.press("escape")
        await sees(pilot, "Really?")
        await pilot.press("y")
        await wait_for(pilot, lambda: answers == [*unasked, True])
        assert app.screen is place


async def test_a_dialog_asked_for_in_a_place_that_was_left_opens_there(app: MqloraApp) -> None:
    """Not in the place to which the user has gone."""
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        place = app.screen
        assert isinstance(place, PlaceScreen)
        await pilot.press("6")
        await wait_for(pilot, lambda: app.screen is not place)

        async def ask() -> None:
            await place.answer_to(ConfirmScreen("Late", "Really?", "yes", "no"))

        place.run_worker(ask())
        await pilot.pause()
        assert not isinstance(app.screen, ConfirmScreen)
        await pilot.press("1")
        await sees(pilot, "Really?")


def test_no_dialog_is_opened_after_a_wait_without_looking_what_is_on_top() -> None:
    """Whoever awaits something before a dialog goes through `answer_to`."""
    late = [
        f"{path.name}:{call.lineno}"
        for path in (ROOT / "tui" / "app" / "screens").rglob("*.py")
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.AsyncFunctionDef) and function.name != "answer_to"
        for call in ast.walk(function)
        if isinstance(call, ast.Attribute) and call.attr.startswith("push_screen")
        if any(isinstance(node, ast.Await) and node.lineno <= call.lineno for node in ast.walk(function))
    ]
    assert not late
