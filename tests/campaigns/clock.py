"""A wall clock that jumps, or stands still."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event as StopEvent
from unittest import mock

from engine.project import Project
from engine.training import retention as ownership
from engine.training import state
from engine.training.crash import cut_off_reason
from engine.training.events import Event, Paused, StepDone
from engine.training.state import RunState
from tests.campaigns.bench import Bench, Try, pause_at
from tests.support.tiny import metrics_rows


def clocks(bench: Bench) -> Iterator[Try]:
    """By hours, back and forth, between two sessions and within one; and a clock that stands still."""
    for hours in (-1, -5, -24 * 400, 24 * 400):
        yield Try("clock set between two sessions", tuple(_jump(bench, (0, hours), in_between=True)))
        yield Try("clock set during a run", tuple(_jump(bench, (0, hours), in_between=False)))
    yield Try("clock stands still: archives", tuple(_archives(bench)))


def _jump(bench: Bench, hours: tuple[int, int], in_between: bool) -> list[str]:
    project, clock = bench.copy(), _Clock(hours[0])

    def interrupt(event: Event, stop: StopEvent) -> None:
        if isinstance(event, StepDone) and event.metrics.step == 5:
            clock.offset = timedelta(hours=hours[1])
            if in_between:
                stop.set()

    with clock.running():
        session = bench.sit(project, interrupt)
        faults = []
        if in_between:
            faults = [] if isinstance(session.events[-1], Paused) else ["not paused"]
            session = bench.sit(project)
        found = RunState.load(project.state_file)
    faults += [] if session.is_finished and found and found.status == "finished" else ["not finished"]
    rows = [json.loads(line) for line in project.metrics_file.read_text().splitlines()]
    times = [row["elapsed_s"] for row in rows]
    faults += [] if times == sorted(times) and times[-1] < 3600 else [f"elapsed: {times}"]
    if found:
        cut_off_reason(found)
    return faults + bench.end_of(project)


def _archives(bench: Bench) -> list[str]:
    """Restarts in the same microsecond keep every run."""
    project, clock = bench.copy(), _Clock(0, stopped=True)
    with clock.running():
        for _number in range(3):
            bench.sit(project, pause_at(2), mode="restart")
    archives = list((project.run_dir / "archive").iterdir())
    kept = [len(metrics_rows(Project(path))) for path in _as_runs(project, archives)]
    shutil.rmtree(project.root)
    return [] if kept == [2, 2] else [f"archived steps: {kept}"]


def _as_runs(project: Project, archives: list[Path]) -> Iterator[Path]:
    """Yield project folders whose runs are the archived ones."""
    for number, path in enumerate(archives):
        root = project.root / f"archived{number}"
        root.mkdir()
        yield path.rename(root / project.run_dir.name).parent


class _Clock:
    """The wall clock as the engine sees it, set wrong."""

    def __init__(self, hours: int, stopped: bool = False) -> None:
        self.offset = timedelta(hours=hours)
        self.stopped_at = datetime.now() if stopped else None

    @contextmanager
    def running(self) -> Iterator[None]:
        clock = self

        class Wrong(datetime):
            @classmethod
            def now(cls, tz: object = None) -> "Wrong":
                moment = clock.stopped_at or datetime.now()
                return cls.fromtimestamp((moment + clock.offset).timestamp())

        with mock.patch.object(state, "datetime", Wrong), mock.patch.object(ownership, "datetime", Wrong):
            yield
