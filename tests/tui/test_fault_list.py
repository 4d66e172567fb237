"""The faults of the data: totals, filter and list."""

from dataclasses import replace

from engine.dataset.report import Fault
from tests.support.fake_engine import FakeEngine, data_report, sees, shown, wait_for
from tests.support.screens import EMPTY, LEAK, opened
from tui.app.app import MqloraApp
from tui.app.screens.data.fault_panel import FaultPanel
from tui.app.screens.data.fault_table import MOST_ROWS, FaultTable

from textual.pilot import Pilot

KINDS = (
    EMPTY,
    Fault("train.jsonl", 40, 7, "invalid_json", "error", "not JSON: a colon is expected", "correct the line"),
    Fault("train.jsonl", 41, None, "invalid_json", "error", "not JSON: the line ends too early", "drop it"),
    LEAK,
    Fault("train.jsonl", 0, None, "byte_order_mark", "note", "it begins with a mark", "nothing"),
)


async def listed(pilot: Pilot[int], *lines: int) -> None:
    """Wait until the table lists the faults on these lines, and no other."""
    table = pilot.app.screen.query_one(FaultTable)
    await wait_for(pilot, lambda: [fault.line for fault in table.faults] == list(lines))


async def test_the_cursor_stays_where_a_row_was_dropped(app: MqloraApp, engine: FakeEngine) -> None:
    """On the next one, also where the faults are found again a few at a time."""
    engine.data = data_report(*KINDS)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot)
        await listed(pilot, 12, 40, 41, 5, 0)
        await pilot.press("down", "down")
        panel, table = screen.query_one(FaultPanel), screen.query_one(FaultTable)
        panel.clear()
        assert not table.faults
        for left in (KINDS[:2], (*KINDS[:2], *KINDS[3:])):
            panel.show(left)
            await listed(pilot, *(fault.line for fault in left))
        assert table.selected == LEAK
        panel.clear()
        panel.show(())
        await listed(pilot)


async def test_totals_by_kind_stay_in_sight(app: MqloraApp, engine: FakeEngine) -> None:
    """What is worst and most frequent comes first, whatever the filter lets through."""
    engine.data = data_report(*KINDS)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        totals = "✗ 2 invalid_json ✗ 1 empty_completion ! 1 leak · 1 byte_order_mark"
        await wait_for(pilot, lambda: totals in " ".join(shown(app).split()))
        await pilot.press("s")
        await listed(pilot, 12, 40, 41)
        await sees(pilot, totals)


async def test_kinds_without_room_are_counted(app: MqloraApp, engine: FakeEngine) -> None:
    """On a small terminal two lines are all there is for totals."""
    engine.data = data_report(*[replace(EMPTY, kind=f"a_kind_with_a_long_name_{n}") for n in range(9)])
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await wait_for(pilot, lambda: "and 6 more kinds" in shown(app))


async def test_s_lists_one_severity_after_the_other(app: MqloraApp, engine: FakeEngine) -> None:
    """Errors, warnings, notes, then all again; Escape does that at once."""
    engine.data = data_report(*KINDS)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        every = (12, 40, 41, 5, 0)
        await listed(pilot, *every)
        for lines in ((12, 40, 41), (5,), (0,), every, (12, 40, 41)):
            await pilot.press("s")
            await listed(pilot, *lines)
        await sees(pilot, "3 of 5 · only errors")
        await pilot.press("escape")
        await listed(pilot, *every)


async def test_a_filter_is_typed_and_put_away(app: MqloraApp, engine: FakeEngine) -> None:
    """Enter goes on to what was found; Escape lists everything again."""
    engine.data = data_report(*KINDS)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot)
        await listed(pilot, 12, 40, 41, 5, 0)
        await pilot.press("slash", *"NOT")
        await listed(pilot, 40, 41)
        await sees(pilot, "2 of 5 · with NOT")
        await pilot.press("enter")
        assert screen.focused is screen.query_one(FaultTable)
        await listed(pilot, 40, 41)
        await pilot.press("escape")
        await listed(pilot, 12, 40, 41, 5, 0)
        assert not screen.query_one("#fault-found").display


async def test_the_filter_looks_at_all_faults_not_only_those_listed(
    app: MqloraApp, engine: FakeEngine
) -> None:
    """The one of its kind among thousands is found."""
    engine.data = data_report(*[EMPTY] * 9000, LEAK)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await wait_for(pilot, lambda: "first 500 of 9,001" in shown(app))
        await pilot.press("slash", *"leak")
        await listed(pilot, 5)


async def test_a_selected_fault_stays_selected_while_more_becomes_known(
    app: MqloraApp, engine: FakeEngine
) -> None:
    """A later report of the same check leaves cursor and preview where they are."""
    engine.data = data_report(EMPTY, LEAK)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot)
        await pilot.press("down")
        await wait_for(pilot, lambda: engine.rows[-1] == ("valid.jsonl", 5))
        app.data = data_report(*KINDS)
        await listed(pilot, 12, 40, 41, 5, 0)
        assert screen.query_one(FaultTable).selected == LEAK
        assert engine.rows[-1] == ("valid.jsonl", 5)


async def test_keys_reach_the_ends_of_a_long_list(app: MqloraApp, engine: FakeEngine) -> None:
    """End and Home, a page at a time, and never beyond."""
    engine.data = data_report(*[replace(EMPTY, line=line) for line in range(1, 101)])
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot)
        table = screen.query_one(FaultTable)
        await wait_for(pilot, lambda: len(table.faults) == 100)
        for key, line in (("up", 1), ("down", 2), ("end", 100), ("down", 100), ("pageup", 95), ("home", 1)):
            await pilot.press(key)
            assert table.selected is not None and table.selected.line == line
            await sees(pilot, f"{line}  train")


async def test_more_faults_than_can_be_read_are_counted(app: MqloraApp, engine: FakeEngine) -> None:
    """The table is capped and the total said in words."""
    engine.data = data_report(*[EMPTY] * (MOST_ROWS + 12_234))
    async with app.run_test() as pilot:
        screen = await opened(pilot)
        await wait_for(pilot, lambda: "first 500 of 12,734" in shown(app))
        assert len(screen.query_one(FaultTable).faults) == MOST_ROWS
