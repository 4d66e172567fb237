"""The whole app in each situation that changes what it offers; stand-ins for all that is slow or random."""

import os
import shutil
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager, nullcontext
from datetime import datetime, tzinfo
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from engine.config import TrainingConfig
from engine.dataset.inspect.check import check_stages
from engine.dataset.report import Fault, Place
from engine.errors import UserError
from engine.hardware.report import Check
from engine.project import Project
from engine.runs.places import archived
from engine.serve.server import Order
from engine.training.answers import Answer, AnswersWriter
from tests.support.fake_chat import FakeSession
from tests.support.fake_engine import (
    REFUSED,
    FakeEngine,
    data_report,
    hardware_report,
    ready,
    shown,
    wait_for,
)
from tests.support.fake_run import TOTAL, toy_project, write_run
from tests.support.tiny import owned_by
from tests.support.training_screen import Factory, use
from tui.app.app import MqloraApp
from tui.app.screens.chat.chat import ChatScreen

import pytest
from textual.pilot import Pilot
from textual.worker import Worker

FAULTS = (
    Fault("train.jsonl", 3, None, "empty_prompt", "error", "prompt is empty", "write one"),
    Fault(
        "train.jsonl", 2, None, "duplicate", "warning", "as in line 1", "drop one", Place("train.jsonl", 1)
    ),
)
NO_MODEL = Check(
    "model", "Base model", "none in models/", "error", "Nothing can be trained", "press g to get one"
)
_FOLDER = "a folder whose path is too long for the header"
_STARTED = "2026-01-01T10:00:00+00:00"
_INIT = 1
"""A process that every machine has."""
Size = tuple[int, int]


def _no_model(project: Project, engine: FakeEngine) -> None:
    shutil.rmtree(project.models_dir / "toy")
    engine.hardware = hardware_report(NO_MODEL)
    _check(project, engine)


def _no_data(project: Project, engine: FakeEngine) -> None:
    shutil.rmtree(project.data_dir)
    _check(project, engine)


def _check(project: Project, engine: FakeEngine) -> None:
    """Let the app be told of the data what the engine itself tells."""
    for engine.data in check_stages(project, TrainingConfig(), lambda *_progress: None, threading.Event()):
        pass


def _ready(_project: Project, _engine: FakeEngine) -> None:
    """Nothing is missing, nothing was trained."""


def _paused(project: Project, engine: FakeEngine) -> None:
    engine.data = data_report(*FAULTS)
    write_run(project, "paused", 30)
    _draw(project)


def _finished(project: Project, _engine: FakeEngine) -> None:
    project.prompts_file.write_text("Quanto é 1 mais 1?\nE 2 mais 2?\n", encoding="utf-8")
    write_run(project, "finished", started=_STARTED)
    answers = AnswersWriter(project, TOTAL)
    for question in ("Quanto é 1 mais 1?", "E 2 mais 2?"):
        for step in (None, 20, 40, 60):
            answers.write(Answer(step, question, f"São {step or 'muitos'}.", "complete", 4, 0.1, 0.1, 9.0))
    answers.close()
    for day, rate in enumerate((1e-4, 3e-4), start=1):
        past = archived(project, f"try {day}").project
        write_run(past, "finished" if day == 1 else "paused", 60 if day == 1 else 40, started=_STARTED)
        TrainingConfig(model="toy", num_epochs=3, learning_rate=rate).save(past.config_file)
        os.utime(past.state_file, (86_400.0 * day, 86_400.0 * day))
    _draw(project)
    for path in project.run_dir.iterdir():
        os.utime(path, (86_400.0 * 9, 86_400.0 * 9))


def _another(project: Project, _engine: FakeEngine) -> None:
    write_run(project, "running", 30)
    _draw(project)


def _draw(project: Project) -> Path:
    """Write the run's pictures, which the report would draw otherwise."""
    for path in (project.dashboard_png, project.analysis_png):
        path.write_bytes(b"")
    return project.dashboard_png


SITUATIONS: dict[str, Callable[[Project, FakeEngine], None]] = {
    "no model": _no_model,
    "no data": _no_data,
    "ready": _ready,
    "running": _ready,
    "paused": _paused,
    "finished": _finished,
    "another's run": _another,
}
"""What makes each of a project that could be trained on."""


class Noon(datetime):
    """A clock that stands still."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "Noon":
        """Return the same time always."""
        return cls(2026, 1, 1, 12, 0, 0, tzinfo=tz)


def stand_in(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """Put fakes in the place of what computes, starts processes, asks other machines or tells the time."""
    engine = FakeEngine()
    refusal = UserError(*REFUSED)

    def refuse(*_arguments: object, **_named: object) -> Any:
        raise refusal

    def no_models(*_arguments: object) -> tuple[()]:
        return ()

    def ordered(project: Project, port: int) -> Order:
        return Order(project.root, "toy", project.adapters_dir, port)

    def draw_one(project: Project, *_what: object) -> Path:
        return _draw(project)

    class Session(FakeSession):
        asked: list[list[dict[str, str]]] = []  # noqa: RUF012

    functions: dict[str, object] = {
        "engine.hardware.probe.iter_checks": engine.iter_checks,
        "engine.dataset.inspect.check.check_stages": engine.check_stages,
        "engine.dataset.inspect.preview.preview_row": engine.preview_row,
        "engine.model.demo.install_demo": engine.install_demo,
        "engine.model_store.inventory.find_cached": no_models,
        "engine.model_store.get.get_model": refuse,
        "engine.analysis.charts.write_chart": draw_one,
        "engine.analysis.summary.machine_memory_gb": lambda _state: 16.0,
        "engine.training.state.now": lambda: _STARTED,
        "engine.analysis.verdict.program": lambda name: name,
        "engine.shell.program": lambda name: name,
        "engine.fit.measured.measure_and_remember": refuse,
        "tui.app.jobs.evaluate.create_evaluator": refuse,
        "tui.app.jobs.export.create_exporter": refuse,
        "tui.app.jobs.tune.create_tuner": refuse,
        "tui.app.jobs.serve.start_process": refuse,
        "tui.app.jobs.serve.order": ordered,
        "tui.app.jobs.mend.editor_command": lambda *_where: ["true"],
        "tui.app.screens.report.report.chart_writers": lambda: (_draw,),
        "tui.app.screens.report.report.write_report_files": refuse,
        "tui.app.screens.train.log.datetime": Noon,
        "tui.app.screens.train.train.datetime": Noon,
        "tui.run.other_process.may_train": lambda *_process: True,
        "tui.run.other_process.LIMIT_S": 0.1,
        "psutil.swap_memory": lambda: SimpleNamespace(used=0),
        "os.kill": lambda _pid, _number: None,
    }
    for name, function in functions.items():
        monkeypatch.setattr(name, function)
    monkeypatch.setattr(ChatScreen, "create_session", staticmethod(Session))
    monkeypatch.setattr(MqloraApp, "suspend", lambda _app: nullcontext())
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    return engine


@asynccontextmanager
async def app_in(
    situation: str, folder: Path, size: Size, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Pilot[int]]:
    """Start the app in a situation, in a project of its own.

    Args:
        situation: one of `SITUATIONS`.
        folder: an empty folder for the project.
        size: of the terminal, in columns and rows.
        monkeypatch: that of the test.
    """
    engine = stand_in(monkeypatch)
    project = toy_project(folder / _FOLDER / "farense")
    SITUATIONS[situation](project, engine)
    monkeypatch.setenv("COLUMNS", str(size[0]))  # for Rich, which would ask the terminal that pytest runs in
    monkeypatch.chdir(project.root)  # so that commands name no folder
    app = MqloraApp(project)
    factory = use(app, Factory())
    with ExitStack() as held:
        if situation == "another's run":
            held.enter_context(owned_by(project, _INIT))
        try:
            async with app.run_test(size=size) as pilot:
                await ready(pilot)
                if situation == "running":
                    app.switch_mode("train")
                    await wait_for(pilot, lambda: app.current_mode == "train" and app.screen.is_mounted)
                    await pilot.press("enter")
                    await wait_for(pilot, lambda: " 20/60" in shown(app))
                yield pilot
        finally:
            factory.gate.set()
            app.engine.close(timeout=10)


async def settled(pilot: Pilot[int]) -> None:
    """Wait until no job is under way but one that waits for an answer, and nothing changes on the screen."""
    before: str | None = None
    app = pilot.app

    def is_over(worker: Worker[Any]) -> bool:
        return worker.is_finished or worker.node in app.screen_stack[:-1]

    def is_still() -> bool:
        nonlocal before
        last, before = before, shown(app)
        return last == before and all(map(is_over, app.workers))

    await wait_for(pilot, is_still)


async def visit(pilot: Pilot[int], mode: str) -> None:
    """Go to a place and wait until all that it says is said."""
    app = pilot.app
    assert isinstance(app, MqloraApp)
    if app.current_mode != mode:
        await app.switch_mode(mode)
    await wait_for(pilot, lambda: app.current_mode == mode and app.screen.is_mounted)
    if mode == "data":
        await wait_for(pilot, lambda: app.data is not None and not app.data_progress)
    await settled(pilot)
