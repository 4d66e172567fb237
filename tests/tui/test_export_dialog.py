"""The dialog that exports the adapter: what it asks, how it is ended, and what came of it."""

from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from queue import Queue

from engine.errors import Cancelled, UserError
from engine.export.exporter import Exported
from engine.export.score import KeptGain
from engine.export.targets import ExportRequest, OnProgress
from engine.project import Project
from tests.support.fake_engine import HOSTILE, SIZES, pretend, ready, sees, sees_no_more, wait_for
from tests.support.fake_run import write_run
from tui.app.app import MqloraApp
from tui.app.messages import FitProgress
from tui.app.screens.export.export import ExportDialog

import pytest
from textual.pilot import Pilot
from textual.widgets import Select

GAIN = KeptGain("mlx-16", 1000, 3.0, 1.0, 1.1, 40, 0.2, "MLX")
Step = Callable[[OnProgress], Exported | None]


class FakeExporter:
    """Does what the test lets it do, on the engine's thread."""

    def __init__(self) -> None:
        self.asked: list[ExportRequest] = []
        self.ended = 0
        self.steps: Queue[Step] = Queue()
        self._on_progress: OnProgress = lambda stage, share: None

    def create(self, _project: Project, _request: ExportRequest, on_progress: OnProgress) -> "FakeExporter":
        """Stand in for `tui.app.jobs.export.create_exporter`."""
        self._on_progress = on_progress
        return self

    def export(self, request: ExportRequest) -> Exported:
        """Take step after step, until one of them is the end."""
        self.asked.append(request)
        try:
            while True:
                if done := self.steps.get()(self._on_progress):
                    return done
        except Cancelled:
            self.ended += 1
            raise

    def moves(self, stage: str, share: float) -> None:
        """Let it tell how far it is."""
        self.steps.put(lambda on_progress: on_progress(stage, share))

    def comes_to(self, end: Exported | UserError | Exception) -> None:
        """Let it end."""

        def step(_on_progress: OnProgress) -> Exported:
            if isinstance(end, Exception):
                raise end
            return end

        self.steps.put(step)


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch, app: MqloraApp) -> Generator[FakeExporter, None, None]:
    """An exporter without MLX; what it still waits for at the end is over."""
    fake = FakeExporter()
    monkeypatch.setattr("tui.app.jobs.export.create_exporter", fake.create)
    monkeypatch.setattr("tui.app.screens.report.report.chart_writers", tuple)
    yield fake
    fake.comes_to(UserError("over"))


async def opened(pilot: Pilot[int]) -> MqloraApp:
    """Go to the report of a finished run and open the dialog."""
    app = await ready(pilot)
    await pilot.press("6")
    await sees(pilot, "x Export")
    await pilot.press("x")
    await wait_for(pilot, lambda: isinstance(app.screen, ExportDialog) and app.screen.focused)
    return app


def choose(pilot: Pilot[int], **values: object) -> None:
    """Choose in the lists of the form."""
    for name, value in values.items():
        pilot.app.screen.query_one(f"#export-{name}", Select).value = value


def offered(pilot: Pilot[int], name: str) -> list[object]:
    """Return what a list has to choose from."""
    return [value for _label, value in pilot.app.screen.query_one(f"#export-{name}", Select)._options]


def is_offered(pilot: Pilot[int], name: str, values: list[object]) -> bool:
    """Whether a list has these to choose from, and no others."""
    return offered(pilot, name) == values


@pytest.mark.parametrize("size", [*SIZES, (200, 60)])
async def test_enter_exports_and_the_command_is_copied(
    app: MqloraApp, exporter: FakeExporter, size: tuple[int, int]
) -> None:
    """The progress, then where it is, what it keeps, what it cannot hold, and the command that tries it."""
    write_run(app.project, "finished")
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        await sees(
            pilot, "program", "ollama", "the base model as it is, the adapter beside it", "the best one"
        )
        await pilot.press("enter")
        exporter.moves("Writing model.gguf (70 MB)", 0.25)
        await sees(pilot, "Writing model.gguf (70 MB): 25%. Esc ends it.")
        command = "ollama create toy -f Modelfile && ollama run toy"
        exporter.comes_to(
            Exported(app.project.exports_dir / "toy-ollama", command, GAIN, ("One is rounded",))
        )
        await sees(pilot, "✓ exports/toy-ollama", "keeps 95.0% of the gain", "base 3.00, as trained 1.00")
        await sees(pilot, "exported 1.10", "by MLX)", "! One is rounded.", "ollama create toy")
        await pilot.press("c")
        await sees(pilot, "Copied.")
        assert app.clipboard == command
        await pilot.press("enter")
        await wait_for(pilot, lambda: not isinstance(app.screen, ExportDialog))
    assert exporter.asked == [ExportRequest("ollama")]


async def test_only_what_a_program_has_is_offered(app: MqloraApp, exporter: FakeExporter) -> None:
    """Widths, and for PEFT the name of the base model."""
    write_run(app.project, "finished")
    async with app.run_test(size=SIZES[0]) as pilot:
        await opened(pilot)
        gguf: list[object] = [None, 16, 8, 4]
        merged: list[object] = [16, 8, 6, 4]
        widths = {"ollama": gguf, "llama.cpp": gguf, "gguf": gguf, "lmstudio": merged, "mlx": merged}
        assert offered(pilot, "target") == ["ollama", "llama.cpp", "lmstudio", "mlx", "peft", "gguf"]
        for target, bits in widths.items():
            choose(pilot, target=target)
            await wait_for(pilot, partial(is_offered, pilot, "bits", bits))
            await sees_no_more(pilot, "base name")
        choose(pilot, target="peft")
        await sees(pilot, "base name", "full-precision base model by its name")
        await sees_no_more(pilot, "bits ")


async def test_what_is_chosen_is_asked_for(app: MqloraApp, exporter: FakeExporter) -> None:
    """A folder is named from the project's; a name typed for PEFT is no part of another form."""
    write_run(app.project, "finished")
    async with app.run_test(size=SIZES[1]) as pilot:
        await opened(pilot)
        checkpoint = offered(pilot, "adapter")[1]
        assert isinstance(checkpoint, str) and (app.project.run_dir / checkpoint).is_dir()
        choose(pilot, target="peft", adapter=checkpoint)
        await sees(pilot, "base name")
        await pilot.press("down", "down", *"a/b", "down", *"out", "enter")
        await wait_for(pilot, lambda: len(exporter.asked) == 1)
        exporter.comes_to(UserError("It does not fit", "take another"))
        await sees(pilot, "✗ It does not fit; take another.")
        choose(pilot, target="mlx")
        await sees_no_more(pilot, "It does not fit")
        await wait_for(pilot, lambda: 8 in offered(pilot, "bits"))
        choose(pilot, bits=8)
        await pilot.press("enter")
        await wait_for(pilot, lambda: len(exporter.asked) == 2)
    out = app.project.root / "out"
    assert exporter.asked == [
        ExportRequest("peft", None, checkpoint, None, out, "a/b"),
        ExportRequest("mlx", 8, checkpoint, None, out),
    ]


@pytest.mark.parametrize("key", ["escape", "ctrl+c"])
async def test_a_key_ends_it_at_the_next_tensor(app: MqloraApp, exporter: FakeExporter, key: str) -> None:
    """Then it can begin again, and Esc without work closes."""
    write_run(app.project, "finished")
    async with app.run_test(size=SIZES[0]) as pilot:
        await opened(pilot)
        await pilot.press("enter")
        exporter.moves("Writing", 0.5)
        await sees(pilot, "Writing: 50%")
        await pilot.press(key)
        await sees(pilot, "Ending …")
        assert exporter.ended == 0
        exporter.moves("Writing", 0.6)
        await sees(pilot, "Ended; nothing was written.")
        assert exporter.ended == 1
        await pilot.press("enter")
        await wait_for(pilot, lambda: len(exporter.asked) == 2)
        exporter.comes_to(UserError("No room", "free some"))
        await sees(pilot, "✗ No room; free some.")
        await pilot.press("escape")
        await wait_for(pilot, lambda: not isinstance(app.screen, ExportDialog))


async def test_leaving_the_app_ends_it(app: MqloraApp, exporter: FakeExporter) -> None:
    """After a question; at the next tensor, which nobody waits for."""
    write_run(app.project, "finished")
    async with app.run_test(size=SIZES[0]) as pilot:
        await opened(pilot)
        await pilot.press("enter")
        await wait_for(pilot, lambda: exporter.asked)
        await pilot.press("ctrl+q", "ctrl+q")
        await sees(pilot, "The export is ended, and nothing of it is kept.")
        await pilot.press("escape")
        await sees_no_more(pilot, "Leave now?")
        await pilot.press("ctrl+q", "enter")
        await wait_for(pilot, lambda: app.return_code == 0)
    exporter.moves("Writing", 0.5)
    assert app.engine.idle.wait(20)
    assert exporter.ended == 1


async def test_nothing_is_exported_while_something_computes(app: MqloraApp, exporter: FakeExporter) -> None:
    """A run, a measurement and a chat: the key says so; and Enter, where it began behind the dialog."""
    write_run(app.project, "finished")
    async with app.run_test(size=SIZES[0]) as pilot:
        await ready(pilot)
        await pilot.press("6")
        await sees(pilot, "x Export")
        pretend(app, "running", 3)
        await pilot.press("x")
        await sees(pilot, "Training is running", "do this when the run is paused or over")
        pretend(app, "finished", 3)
        await sees_no_more(pilot, "Training is running")
        app.post_message(FitProgress("Trying"))
        await wait_for(pilot, lambda: app.measuring)
        await pilot.press("x")
        await sees(pilot, "Memory is being measured")
        app.measuring = ""
        app.engine.idle.clear()  # as while a reply is drawn
        await pilot.press("x")
        await sees(pilot, "A chat, or another job, is using MLX")
        app.engine.idle.set()
        await pilot.press("escape", "x")
        await wait_for(pilot, lambda: isinstance(app.screen, ExportDialog) and app.screen.focused)
        app.engine.idle.clear()
        await pilot.press("enter")
        await sees(pilot, "✗ A chat, or another job, is using MLX; do this when that is over.")
        app.engine.idle.set()
    assert exporter.asked == []


async def test_what_others_say_steers_no_terminal(
    app: MqloraApp, exporter: FakeExporter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a refusal nor a note is markup; a defect is told, and its traceback kept."""
    monkeypatch.setattr("platformdirs.user_log_dir", lambda name: str(tmp_path / name))
    write_run(app.project, "finished")
    async with app.run_test(size=SIZES[1]) as pilot:
        await opened(pilot)
        await pilot.press("enter")
        exporter.comes_to(ValueError(f"broken {HOSTILE}"))
        await sees(pilot, "Something unexpected happened (ValueError", "[/INST] [bold]")
        assert "Traceback" in (tmp_path / "mqlora-tui" / "errors.log").read_text()
        await pilot.press("enter")
        exporter.comes_to(Exported(app.project.root / "[bold]x", "try it", None, (HOSTILE,)))
        await sees(pilot, "[bold]x", "! [/INST] [bold]", "try it")


async def test_without_a_run_there_is_nothing_to_export(app: MqloraApp, exporter: FakeExporter) -> None:
    """The key is not offered."""
    async with app.run_test(size=SIZES[0]) as pilot:
        await ready(pilot)
        await pilot.press("6")
        await sees(pilot, "No run yet")
        await pilot.press("x")
        await sees_no_more(pilot, "Export")
