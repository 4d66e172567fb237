"""1 Hardware: verdict first, then each check, then what to do."""

from collections.abc import Generator
from threading import Event

from engine.hardware.report import Check, HardwareReport
from engine.profiles import recommend
from engine.project import Project
from tests.support.fake_engine import (
    CHECKS,
    EACH_SIZE,
    HOSTILE,
    FakeEngine,
    hardware_report,
    ready,
    sees,
    sees_no_more,
    shown,
    wait_for,
)
from tui.app.app import MqloraApp
from tui.app.screens.hardware.check_list import CheckList

import pytest


@pytest.mark.parametrize("size", EACH_SIZE)
async def test_every_check_has_a_row_with_a_symbol(app: MqloraApp, size: tuple[int, int]) -> None:
    """Label and value of each check are on the screen; the status is a symbol, not only a colour."""
    async with app.run_test(size=size) as pilot:
        await ready(pilot)
        rows = shown(app).splitlines()
        for check in CHECKS:
            row = next(row for row in rows if check.value in row)
            assert check.label in row
            assert {"ok": "✓", "warning": "!"}[check.status] in row


async def test_the_verdict_names_the_recommended_profile(app: MqloraApp, engine: FakeEngine) -> None:
    """The first sentence answers whether this machine can do it, and with what."""
    expected = recommend(engine.hardware, None, None)
    async with app.run_test() as pilot:
        await ready(pilot)
        await wait_for(pilot, lambda: f"Ready for {expected.name}." in shown(app))
        await sees(pilot, expected.reason.split(",")[0])


async def test_the_worst_finding_is_selected_and_explained(app: MqloraApp) -> None:
    """The detail of a warning and its fix are visible without a key press."""
    async with app.run_test() as pilot:
        await ready(pilot)
        await wait_for(pilot, lambda: "The battery empties." in shown(app))
        await sees(pilot, "plug it in.")


async def test_the_cursor_chooses_what_is_explained(app: MqloraApp) -> None:
    """Moving to a check that is fine says that there is nothing to do."""
    async with app.run_test() as pilot:
        await ready(pilot)
        await wait_for(pilot, lambda: "The battery empties." in shown(app))
        await pilot.press("up")
        await wait_for(pilot, lambda: "Nothing to do here." in shown(app))
        await sees_no_more(pilot, "The battery empties.")


async def test_a_model_that_is_changed_while_it_is_looked_at_is_looked_at_too(
    app: MqloraApp, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was found of the one before is not kept."""
    looked, may_end = list[str](), Event()

    def iter_checks(project: Project, model: str) -> Generator[Check, None, HardwareReport]:
        looked.append(model)
        may_end.wait(20)
        return (yield from engine.iter_checks(project, model))

    monkeypatch.setattr("engine.hardware.probe.iter_checks", iter_checks)
    async with app.run_test() as pilot:
        await wait_for(pilot, lambda: looked == [""])
        app.config = app.config.updated({"model": "another"})
        await pilot.pause()
        may_end.set()
        await wait_for(pilot, lambda: looked == ["", "another"] and app.hardware is not None)


@pytest.mark.slow
@pytest.mark.parametrize("size", EACH_SIZE)
async def test_what_the_list_cuts_is_whole_below_or_beside_it(
    app: MqloraApp, engine: FakeEngine, size: tuple[int, int]
) -> None:
    """A long value, its reason and its fix, in the order of reading; what finds no room is scrolled to."""
    value = " ".join(f"value{n}" for n in range(30))
    detail = " ".join(f"reason{n}" for n in range(60))
    engine.hardware = hardware_report(*CHECKS, Check("mlx", "MLX", value, "error", detail, "the last word"))
    async with app.run_test(size=size) as pilot:
        await ready(pilot)
        await sees(pilot, "MLX: value0 value1")
        seen = ""
        await pilot.press("tab")
        for _part in range(10):
            seen += shown(app)
            await pilot.press(*["down"] * 4)
            await pilot.pause()
        assert all(word in seen for word in (*value.split(), *detail.split(), "the last word."))
        await pilot.press("enter")
        await wait_for(pilot, lambda: app.current_mode == "profile")


async def test_r_looks_again(app: MqloraApp, engine: FakeEngine) -> None:
    """A machine that changed is shown as it is now."""
    async with app.run_test() as pilot:
        await ready(pilot)
        engine.hardware = hardware_report(Check("chip", "Chip", "another chip", "ok"))
        await pilot.press("r")
        await wait_for(pilot, lambda: "another chip" in shown(app))
        assert app.screen.query_one(CheckList).option_count == 1


async def test_enter_leads_on_to_the_profiles(app: MqloraApp) -> None:
    """Enter goes to the next sensible place."""
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press("enter")
        await wait_for(pilot, lambda: app.current_mode == "profile")


async def test_the_sample_is_offered_only_where_something_is_missing(
    app: MqloraApp, engine: FakeEngine
) -> None:
    """With model and data in place `S` does nothing; without a model it writes the sample."""
    async with app.run_test() as pilot:
        await ready(pilot)
        await sees_no_more(pilot, "Write sample")
        await pilot.press("S")
        engine.hardware = hardware_report(
            Check("model", "Base model", "none", "error", "No model", "get one")
        )
        await pilot.press("r")
        await wait_for(pilot, lambda: "Write sample" in shown(app))
        await sees(pilot, "Not ready yet. To be fixed: Base model.")
        engine.hardware = hardware_report()
        await pilot.press("S")
        await wait_for(pilot, lambda: "Ready for" in shown(app))
        assert engine.demos == [app.project.root]


async def test_hostile_text_in_a_finding_is_shown_as_it_is(app: MqloraApp, engine: FakeEngine) -> None:
    """A model folder's name cannot break the screen."""
    engine.hardware = hardware_report(Check("model", "Base model", HOSTILE, "error", HOSTILE, HOSTILE))
    async with app.run_test() as pilot:
        await ready(pilot)
        await wait_for(pilot, lambda: shown(app).count("[/INST] [bold]\\x1b[2J") == 4)
        assert "\x1b" not in shown(app)
