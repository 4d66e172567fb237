"""The log of a run, when the terminal changes its size and when somebody reads back in it."""

from dataclasses import replace
from datetime import datetime

from engine.training.state import RunState
from tests.support.themed import ThemedApp
from tui.app.screens.train.log import RunLog

import pytest
from textual.app import ComposeResult
from textual.pilot import Pilot

WORDS = "a sentence that is longer than a narrow terminal is wide, and so takes several lines there"


class LogApp(ThemedApp):
    """Only the log."""

    CSS = "RunLog { height: 1fr; }"

    def compose(self) -> ComposeResult:
        yield RunLog()


def lines(app: LogApp) -> list[str]:
    """What is to be seen of the log."""
    log = app.query_one(RunLog)
    return [log.render_line(y).text.rstrip() for y in range(log.size.height)]


def on_progress(app: LogApp, first: int, last: int) -> None:
    """Write entries with these numbers."""
    for number in range(first, last + 1):
        app.query_one(RunLog).write_entry("·", f"entry {number}: {WORDS} end{number}")


async def resize(pilot: Pilot[None], width: int, height: int) -> None:
    """Change the size of the terminal, and wait until it is drawn."""
    await pilot.resize_terminal(width, height)
    await pilot.pause()


@pytest.mark.parametrize("size", [(40, 10), (60, 24), (120, 40), (100, 5)])
async def test_another_size_wraps_anew_and_keeps_the_newest_line(size: tuple[int, int]) -> None:
    """Every entry is whole in the new width, wide or narrow, and the last one is the last line."""
    app = LogApp()
    async with app.run_test(size=(80, 12)) as pilot:
        await pilot.pause()
        on_progress(app, 1, 30)
        await pilot.pause()
        await resize(pilot, *size)
        shown = lines(app)
        assert shown[-1].endswith("end30")
        whole = " ".join(part for line in app.query_one(RunLog).lines for part in line.text.split())
        assert all(f"entry {n}: {WORDS} end{n}" in whole for n in range(1, 31))
        assert max(len(line) for line in shown) > size[0] // 2, "the width is used"
        on_progress(app, 31, 31)
        await pilot.pause()
        assert lines(app)[-1].endswith("end31")


async def test_what_was_reported_before_the_first_size_is_there() -> None:
    """A screen tells before it is laid out."""
    app = LogApp()
    async with app.run_test(size=(80, 12)) as pilot:
        log = RunLog()
        log.display = False
        await app.mount(log)
        log.write_entry("!", "early")
        log.display = True
        await pilot.pause()
        assert "early" in log.lines[0].text


def line_of(log: RunLog, text: str) -> int:
    return next(y for y, line in enumerate(log.lines) if text in line.text)


async def test_a_place_that_is_read_is_kept() -> None:
    """Neither a resize nor a new line takes the reader away; at the end the log is followed again."""
    app = LogApp()
    async with app.run_test(size=(80, 12)) as pilot:
        log = app.query_one(RunLog)
        await pilot.pause()
        on_progress(app, 1, 40)
        await pilot.pause()
        log.scroll_to(y=line_of(log, "entry 10:"), animate=False, immediate=True)
        await pilot.pause()
        assert "entry 10:" in lines(app)[0]
        for width, height in ((40, 10), (120, 20), (80, 12), (80, 8)):
            await resize(pilot, width, height)
            assert "entry 10:" in lines(app)[0]
            on_progress(app, 41, 41)
            await pilot.pause()
            assert "entry 10:" in lines(app)[0]
        log.scroll_end(animate=False, immediate=True)
        await pilot.pause()
        on_progress(app, 42, 42)
        await resize(pilot, 40, 10)
        assert lines(app)[-1].endswith("end42")


async def test_a_log_longer_than_is_kept_is_wrapped_anew() -> None:
    """Its oldest lines are gone in any width."""
    app = LogApp()
    async with app.run_test(size=(120, 12)) as pilot:
        await pilot.pause()
        on_progress(app, 1, 1200)
        await pilot.pause()
        await resize(pilot, 50, 12)
        log = app.query_one(RunLog)
        assert lines(app)[-1].endswith("end1200") and len(log.lines) == 1000
        log.scroll_to(y=line_of(log, "entry 1196:"), animate=False, immediate=True)
        await pilot.pause()
        await resize(pilot, 90, 8)
        assert "entry 1196:" in lines(app)[0]


async def test_a_followed_run_has_its_own_times_and_lines() -> None:
    """Those of its state, whenever they are noticed; a new run begins with an empty log."""
    app = LogApp()
    async with app.run_test(size=(80, 12)) as pilot:
        await pilot.pause()
        log = app.query_one(RunLog)
        state = RunState("running", "toy", started="2026-01-01T00:00:00+00:00", last_checkpoint="a")
        log.follow(state)
        saved = datetime(2026, 1, 1, 12, 34, 56).astimezone()
        log.follow(replace(state, last_checkpoint="b", updated=saved.isoformat()))
        await pilot.pause()
        assert lines(app)[0] == "12:34:56 ✓ b saved"
        log.follow(replace(state, last_checkpoint=None, started="2026-01-02T00:00:00+00:00"))
        await pilot.pause()
        assert "another process began a new run" in lines(app)[0] and not any(
            "b saved" in x for x in lines(app)
        )
