"""A place is opened once: no style sheet is read again, it is drawn once, and what computes waits for it."""

from tests.support.fake_engine import ready, wait_for
from tui.app.app import MqloraApp
from tui.app.data_state import DataState
from tui.app.keys import PLACES

import pytest
from textual._compositor import Compositor
from textual.css.stylesheet import Stylesheet


async def test_a_first_visit_draws_once_what_is_seen(app: MqloraApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the place is built nothing is drawn; the check of the data begins when it has been."""
    happened: list[str] = []
    parse, draw, check = Stylesheet.reparse, Compositor.render_update, DataState.start_data_check

    def reparse(sheet: Stylesheet) -> None:
        happened.append("parsed")
        parse(sheet)

    def render_update(compositor: Compositor, *args: object, **named: object) -> object:
        happened.append("not seen" if app._batch_count else f"drew {app.current_mode}")
        return draw(compositor, *args, **named)  # type: ignore[arg-type]

    def start_data_check(state: DataState) -> None:
        happened.append("checked")
        check(state)

    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        monkeypatch.setattr(Stylesheet, "reparse", reparse)
        monkeypatch.setattr(Compositor, "render_update", render_update)
        monkeypatch.setattr(DataState, "start_data_check", start_data_check)
        await pilot.press("2")
        await wait_for(pilot, lambda: "checked" in happened)
        for number in range(3, len(PLACES) + 1):
            await pilot.press("escape", str(number))  # the chat's field would take the number
            await wait_for(pilot, lambda n=number: app.current_mode == list(PLACES)[n - 1])  # type: ignore[misc]
    assert happened.index("drew profile") < happened.index("checked")
    assert not {"parsed", "not seen"} & set(happened)
