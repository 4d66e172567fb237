"""Stand-ins for the engine's slow functions, and ways to wait for and read the app."""

import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

from engine.config import TrainingConfig
from engine.dataset.inspect.check import OnCheckProgress
from engine.dataset.inspect.preview import PreviewToken
from engine.dataset.report import DataReport, Fault, FileReport, TokenFigures
from engine.errors import Cancelled
from engine.hardware.report import Check, HardwareReport
from engine.project import Project
from tui.app.app import MqloraApp
from tui.run.messages import RunChanged
from tui.run.status import RunPhase, RunStatus

import pytest
from textual.app import App
from textual.pilot import Pilot

T = TypeVar("T")
SIZES = [(80, 24), (120, 40)]
EACH_SIZE = [SIZES[0], pytest.param(SIZES[1], marks=pytest.mark.slow)]
"""For `parametrize`: the narrow one always, the wide one among the slow tests."""
HOSTILE = "[/INST] [bold]\x1b[2J\u202e"
"""Text that breaks a screen which parses it as markup or lets it reach the terminal."""

REFUSED = ("This is a test", "expect no more of it")
"""What is refused, and its fix, by what a test does not do."""
MODEL = Check("model", "Base model", "models/toy, 4-bit, 1 MB", "ok")
CHECKS = (
    Check("chip", "Chip", "Toy M9, 8 GPU cores", "ok"),
    Check("memory", "Memory", "16.0 GB, 9.4 GB free", "ok"),
    MODEL,
    Check("power", "Power", "battery 71 %", "warning", "The battery empties", "plug it in"),
)


def hardware_report(*checks: Check) -> HardwareReport:
    """Return a report of a Mac with 9.4 GB free."""
    return HardwareReport(
        checks or CHECKS, 16_000_000_000, 9_400_000_000, 200_000_000_000, "metal", "Toy M9", 12_000_000_000
    )


def data_report(*faults: Fault, model: str = "toy") -> DataReport:
    """Return a report of 40 training and 6 validation examples."""
    bins = tuple(range(24))
    figures = TokenFigures(24, 61, 371, 2440, 1415, 87, bins, bins, bins, (7,), ())
    train = FileReport("train.jsonl", 40 + len(faults), 40, faults, figures)
    return DataReport(train, FileReport("valid.jsonl", 6, 6, (), figures), 10, model)


class FakeEngine:
    """What the engine's slow functions answer, and what they were asked."""

    def __init__(self) -> None:
        self.hardware = hardware_report()
        self.data: DataReport | Exception = data_report()
        self.data_configs: list[TrainingConfig] = []
        self.rows: list[tuple[str, int]] = []
        self.tokens: tuple[PreviewToken, ...] | Exception = (
            PreviewToken("<s>", trained=False, cut=False, special=True, ids=(1,)),
            PreviewToken("Olá", trained=True, cut=False, special=False, ids=(7, 8)),
        )
        self.demos: list[Path] = []

    def iter_checks(self, _project: Project, _model: str) -> Generator[Check, None, HardwareReport]:
        """Stand in for `engine.hardware.probe.iter_checks`."""
        yield from self.hardware.checks
        return self.hardware

    def check_stages(
        self, _project: Project, config: TrainingConfig, on_progress: OnCheckProgress, cancel: Event
    ) -> Iterator[DataReport]:
        """Stand in for `engine.dataset.inspect.check.check_stages`."""
        self.data_configs.append(config)
        on_progress("read", "train.jsonl", 1000)
        if cancel.is_set():
            raise Cancelled
        yield _answer(self.data)

    def preview_row(
        self, _project: Project, _config: TrainingConfig, file: str, line: int
    ) -> tuple[PreviewToken, ...]:
        """Stand in for `engine.dataset.inspect.preview.preview_row`."""
        self.rows.append((file, line))
        return _answer(self.tokens)

    def install_demo(self, project: Project, progress: Callable[[str], None]) -> None:
        """Stand in for `engine.model.demo.install_demo`."""
        progress("Writing")
        self.demos.append(project.root)


def _answer(value: T | Exception) -> T:
    if isinstance(value, Exception):
        raise value
    return value


async def wait_for(pilot: Pilot[Any], condition: Callable[[], object], limit_s: float = 20.0) -> None:
    """Let the app work until `condition` holds with everything drawn that the app knows.

    Raises:
        AssertionError: it did not within `limit_s` seconds; with the screen.
    """
    deadline = time.monotonic() + limit_s
    await pilot.pause()
    while not condition():
        assert time.monotonic() < deadline, f"the condition did not come true:\n{shown(pilot.app)}"
        await pilot.pause()


async def sees(pilot: Pilot[int], *texts: str) -> None:
    """Wait until all these texts are on the screen at once, whatever the white space between their words."""

    def are_there() -> bool:
        text = shown(pilot.app)
        return all(part in text or part in " ".join(text.split()) for part in texts)

    await wait_for(pilot, are_there)


async def sees_no_more(pilot: Pilot[int], *texts: str) -> None:
    """Wait until none of these texts is on the screen."""
    await wait_for(pilot, lambda: not any(text in shown(pilot.app) for text in texts))


async def ready(pilot: Pilot[int]) -> MqloraApp:
    """Wait until the machine check is drawn; return the app."""
    app = pilot.app
    assert isinstance(app, MqloraApp)
    await wait_for(pilot, lambda: app.recommendation is not None)
    await pilot.pause()
    return app


def pretend(app: MqloraApp, phase: RunPhase, step: int = 0, config: TrainingConfig | None = None) -> None:
    """Let the app believe that its run is in a phase, and has settings of its own."""
    status = RunStatus(phase, step, config)
    app.training.status = lambda: status  # type: ignore[method-assign]
    app.post_message(RunChanged())


def shown(app: App[Any]) -> str:
    """Return the text of the whole terminal, line by line."""
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())
