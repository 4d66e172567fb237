"""What stays the same on the training screen costs nothing: no drawing, no layout, no reading."""

import os
from pathlib import Path

from engine.project import Project
from tests.support.fake_engine import wait_for
from tests.support.fake_run import append, metrics, write_run
from tests.support.themed import ThemedApp
from tui.app.screens.shared.lines import Lines, SteadyText
from tui.app.screens.shared.verdict_line import VerdictLine
from tui.app.screens.train.progress_line import ProgressLine
from tui.run.view import RunReader

import pytest
from rich.text import Text
from textual.app import ComposeResult
from textual.content import Content


class Texts(ThemedApp):
    """One widget of each kind."""

    CSS = "Lines { height: 3; } Verdict { height: auto; }"

    def compose(self) -> ComposeResult:
        yield VerdictLine()
        yield Lines(id="lines")
        yield ProgressLine()


async def test_a_sentence_is_laid_out_again_only_when_its_height_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same text does nothing, another one is drawn, a longer one moves what is below."""
    app = Texts()
    async with app.run_test(size=(40, 12)) as pilot:
        sentence, below = app.query_one(VerdictLine), app.query_one("#lines")
        sentence.show("ok", "Learning: 4.62 to 2.10.")
        await pilot.pause()
        updates: list[bool] = []
        update = SteadyText.update

        def record(self: SteadyText, content: Content, *, layout: bool = True) -> None:
            updates.append(layout)
            update(self, content, layout=layout)

        monkeypatch.setattr(SteadyText, "update", record)
        sentence.show("ok", "Learning: 4.62 to 2.10.")
        assert updates == []
        sentence.show("ok", "Learning: 4.62 to 2.09.")
        sentence.show("warning", "Learning: 4.62 to 2.09.")
        assert updates == [False, False]
        sentence.show("ok", "Learning, " * 6)
        await pilot.pause()
        assert updates[-1] is True
        assert sentence.size.height == below.region.y == 2


async def test_lines_that_stay_are_not_made_again() -> None:
    """Only a line with another text or colour is made anew; those that moved are kept."""
    app = Texts()
    async with app.run_test(size=(40, 12)) as pilot:
        lines = app.query_one("#lines", Lines)
        lines.show_lines([Text("one"), Text("two", "red"), Text("three")])
        await pilot.pause()
        first = [lines.render_line(y) for y in range(3)]
        lines.show_lines([Text("three"), Text("two", "blue"), Text("one")])
        assert lines.render_line(0) is first[2]
        assert lines.render_line(2) is first[0]
        assert lines.render_line(1) != first[1]
        await pilot.resize_terminal(30, 12)
        await wait_for(pilot, lambda: lines.size.width == 30)
        lines.show_lines([Text("three"), Text("two", "blue"), Text("one")])
        assert [line.cell_length for line in map(lines.render_line, range(3))] == [30] * 3


@pytest.mark.parametrize(("share", "bar"), [(0.0, "─" * 10), (0.25, "━━╸" + "─" * 7), (1.0, "━" * 10)])
async def test_the_bar_takes_the_room_between_its_texts(share: float, bar: str) -> None:
    """It is drawn in half cells, also after the terminal became narrower."""
    app = Texts()
    async with app.run_test(size=(40, 12)) as pilot:
        line = app.query_one(ProgressLine)
        line.show("epoch 1/3", share, "step 5")
        await pilot.resize_terminal(27, 12)
        await pilot.pause()
        assert line.text == f"epoch 1/3 {bar} step 5"


def test_a_view_is_kept_until_a_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is read twice; a new step or a new state make a new view, and so does time."""
    clock = [1000.0]
    monkeypatch.setattr("tui.run.view.time.monotonic", lambda: clock[0])
    project = Project(tmp_path)
    write_run(project, "paused", 30)
    reader = RunReader(project)
    first = reader.read()
    assert reader.read() is first
    append(project, metrics(31))
    second = reader.read()
    assert second.figures.summary.steps == 31
    os.utime(project.state_file, ns=(0, 0))
    third = reader.read()
    assert third is not second
    assert reader.read() is third
    clock[0] += 60
    fourth = reader.read()
    assert fourth is not third
    assert fourth.charted is third.charted


def test_a_busy_machine_does_not_make_looks_rarer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU time of a look counts, not how long it had to wait for it; and there is a longest rest."""
    clock, cpu = [1000.0], [5.0]
    monkeypatch.setattr("tui.run.view.time.monotonic", lambda: clock[0])
    monkeypatch.setattr("tui.run.view.time.thread_time", lambda: cpu[0])
    project = Project(tmp_path)
    write_run(project, "paused", 30)
    reader = RunReader(project)

    def look(cpu_seconds: float) -> None:
        def slow(_project: Project) -> None:
            clock[0] += 9.0
            cpu[0] += cpu_seconds

        monkeypatch.setattr("tui.run.view.lock_owner", slow)
        reader.read()

    look(cpu_seconds=2.0)  # the first also imports
    assert reader.is_due()
    look(cpu_seconds=0.001)
    clock[0] += 0.25
    assert reader.is_due()
    look(cpu_seconds=0.01)
    clock[0] += 1.9
    assert not reader.is_due()
    clock[0] += 0.2
    assert reader.is_due()
    look(cpu_seconds=3.0)
    clock[0] += 31
    assert reader.is_due()
