"""The report: verdict, figures, charts and checkpoints of the run on disk."""

import shlex
from pathlib import Path

from engine.errors import UserError
from engine.project import Project
from tests.support.fake_engine import EACH_SIZE, HOSTILE, ready, sees, sees_no_more, shown, wait_for
from tests.support.fake_run import write_run
from tui.app.app import MqloraApp
from tui.app.screens.report.report import ReportScreen

import pytest
from textual.geometry import Region
from textual.pilot import Pilot


class FakeCharts:
    """Writes small files in the place of the pictures."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.error: UserError | None = None

    def dashboard(self, project: Project) -> Path:
        """Stand in for `write_dashboard`."""
        return self._write(project.dashboard_png)

    def analysis(self, project: Project) -> Path:
        """Stand in for `write_analysis`."""
        return self._write(project.analysis_png)

    def _write(self, path: Path) -> Path:
        if self.error:
            raise self.error
        path.write_bytes(b"png")
        self.written.append(path.name)
        return path


@pytest.fixture
def charts(monkeypatch: pytest.MonkeyPatch) -> FakeCharts:
    """Draw nothing."""
    fake = FakeCharts()
    monkeypatch.setattr(
        "tui.app.screens.report.report.chart_writers", lambda: (fake.dashboard, fake.analysis)
    )
    return fake


async def open_report(pilot: Pilot[int]) -> ReportScreen:
    """Go to the report and wait until it is read."""
    app = await ready(pilot)
    await pilot.press("6")
    await wait_for(pilot, lambda: isinstance(app.screen, ReportScreen))
    await app.workers.wait_for_complete()
    await pilot.pause()
    assert isinstance(app.screen, ReportScreen)
    return app.screen


@pytest.mark.parametrize("size", EACH_SIZE)
async def test_a_finished_run_is_judged_and_drawn(
    app: MqloraApp, charts: FakeCharts, size: tuple[int, int]
) -> None:
    """The verdict comes first, then the figures; the charts are drawn and named."""
    write_run(app.project, "finished")
    async with app.run_test(size=size) as pilot:
        await open_report(pilot)
        await wait_for(pilot, lambda: "training_detailed_analysis.png" in shown(app))
        text = shown(app)
        assert "Best at its last step, 60." in text.splitlines()[1 if size[1] < 34 else 3]
        for part in ("validation 4.20 before training, then 1.34", "epoch 3", "Checkpoints", "Export"):
            assert part in text, part
        assert charts.written == ["training_dashboard.png", "training_detailed_analysis.png"]


@pytest.mark.parametrize("size", EACH_SIZE)
async def test_commands_can_be_pasted_as_they_are_drawn(
    app: MqloraApp, charts: FakeCharts, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    """Lines of one command end with a backslash, whatever the width, also after it changes."""
    monkeypatch.chdir(app.project.root)
    write_run(app.project, "finished")
    async with app.run_test(size=size) as pilot:
        screen = await open_report(pilot)
        text = screen.query_one("#report-text")

        def commands() -> list[list[str]]:
            drawn = [strip.text.rstrip() for strip in text.render_lines(Region(0, 0, *text.size))]
            kept = "\n".join(line for line in drawn if line.startswith("     "))
            return [shlex.split(line) for line in kept.replace("\\\n", "").split("\n")]

        def can_be_pasted() -> bool:
            options = ["--model", "models/toy", "--adapter-path", "checkpoints_qlora/adapters"]
            return [*options, "--prompt", "Your question"] in [words[1:] for words in commands()]

        await wait_for(pilot, can_be_pasted)
        await pilot.resize_terminal(66, 24)
        await wait_for(pilot, lambda: text.size.width <= 66 and can_be_pasted())


async def test_without_a_run_the_next_key_is_named(app: MqloraApp, charts: FakeCharts) -> None:
    """An empty report leads to training, and offers nothing that cannot be done."""
    async with app.run_test(size=(80, 24)) as pilot:
        await open_report(pilot)
        await wait_for(pilot, lambda: "No run yet. Press 4" in shown(app))
        await sees_no_more(pilot, "Checkpoints", "Export")
        assert charts.written == []


async def test_charts_are_written_again_on_request(app: MqloraApp, charts: FakeCharts) -> None:
    """Pictures newer than the run stay as they are until p is pressed."""
    write_run(app.project, "finished")
    charts.dashboard(app.project)
    charts.analysis(app.project)
    charts.written.clear()
    async with app.run_test(size=(80, 24)) as pilot:
        await open_report(pilot)
        assert charts.written == []
        await pilot.press("p")
        await wait_for(pilot, lambda: len(charts.written) == 2)


async def test_charts_that_cannot_be_drawn_say_why(app: MqloraApp, charts: FakeCharts) -> None:
    """A full disk does not end the app."""
    charts.error = UserError("The disk is full", "make room")
    write_run(app.project, "finished")
    async with app.run_test(size=(80, 24)) as pilot:
        await open_report(pilot)
        await wait_for(pilot, lambda: "make room" in shown(app))


async def test_checkpoints_are_listed(app: MqloraApp, charts: FakeCharts) -> None:
    """c shows each checkpoint with its size and marks the best; Escape closes the list."""
    write_run(app.project, "finished")
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_report(pilot)
        await pilot.press("c")
        await wait_for(pilot, lambda: "checkpoint_epoch2_step60" in shown(app) and "★ best" in shown(app))
        await sees(pilot, "2.0 kB")
        await pilot.press("escape")
        await wait_for(pilot, lambda: app.screen is screen)


async def test_hostile_names_are_shown_as_text(app: MqloraApp, charts: FakeCharts) -> None:
    """A model's name from the state file is never markup."""
    write_run(app.project, "failed", 30, reason=HOSTILE)
    async with app.run_test(size=(120, 40)) as pilot:
        await open_report(pilot)
        await wait_for(pilot, lambda: "[/INST] [bold]" in shown(app))
        assert "\x1b" not in shown(app)


async def test_report_is_read_anew_when_shown_again(app: MqloraApp, charts: FakeCharts) -> None:
    """A run that was made meanwhile is there on the next visit."""
    async with app.run_test(size=(80, 24)) as pilot:
        await open_report(pilot)
        await pilot.press("1")
        write_run(app.project, "finished")
        await open_report(pilot)
        await wait_for(pilot, lambda: "Best at its last step" in shown(app))


async def test_f_writes_the_report_to_hand_on(
    app: MqloraApp, charts: FakeCharts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it is is told; what cannot be written, too."""
    write_run(app.project, "finished")
    async with app.run_test(size=(80, 24)) as pilot:
        await open_report(pilot)
        await pilot.press("f")
        await sees(pilot, "checkpoints_qlora/report/report.html written")
        assert "Best at its last step" in (app.project.report_dir / "report.html").read_text()
        (app.project.report_dir / "report.html").write_text("mine")
        await pilot.press("f")
        await sees(pilot, "is no report that mqlora-tui wrote")
        assert (app.project.report_dir / "report.html").read_text() == "mine"
