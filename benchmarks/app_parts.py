"""The parts of the app's benchmark: start, places, training, memory, and a long run's files."""

import json
import math
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks.app_figures import Figure, between, milliseconds, percentile, seconds, sent, slope
from benchmarks.watched_app import Moment, WatchedApp, watched_app
from engine.project import Project
from engine.training.state import RunState

import psutil

STARTS = 5
IDLE_S = 3.0
TRAINING_S = 30.0
KEYS = 40
STEPS = 1_000_000
_SETTLED_S = 1.0
"""A place has all it shows when nothing was sent, or also computed, for so long."""
_SAMPLE_S = 5.0
PLACES = ("Hardware", "Profile", "Data", "Train", "Chat", "Report", "History")
_OPEN_RUN = """
import sys, time
from pathlib import Path
from engine.project import Project
from tui.run.view import RunReader
wall, cpu = time.perf_counter(), time.process_time()
steps = RunReader(Project(Path(sys.argv[1]))).read().figures.summary.steps
print(steps, time.process_time() - cpu, time.perf_counter() - wall)
"""


def start(root: Path) -> Iterator[Figure]:
    """Start the app several times: first picture, verdict, and the bytes up to there."""
    began, paints, verdicts = Moment(0, 0, 0), list[Moment](), list[Moment]()
    for _start in range(STARTS):
        with watched_app(root) as app:
            paints.append(app.wait_for("1 Hardware"))
            verdicts.append(_verdict(app))
    yield between("first paint", "s", 0.5, [(began, paint) for paint in paints], seconds)
    yield between("verdict on screen", "s", 1.5, [(began, verdict) for verdict in verdicts], seconds)
    yield between("start to verdict", "bytes", 40_000, [(began, verdict) for verdict in verdicts], sent)


def places(root: Path) -> Iterator[Figure]:
    """Visit each place of a project with a finished run: when its picture comes, what it sends idle."""
    _train_briefly(root)
    with watched_app(root) as app:
        _verdict(app)
        yield _idle(app, PLACES[0])
        for number, name in enumerate(PLACES[1:], start=2):
            yield _visit(app, str(number), name)
            yield _idle(app, name)
            if name == "Chat":
                app.press("\x1b")  # leaves the line that would take the next number
                app.settle(_SETTLED_S)
        _go(app, 4)
        begin = app.press("w")
        opened = app.wait_until(partial(_differs, app, app.text))
        yield between("first visit: answers", "ms", 300, [(begin, opened)], milliseconds)
        yield _idle(app, "answers")
        app.press("\x1b")
        app.settle(_SETTLED_S)  # a key right after Escape is another key
        _go(app, 2)
        begin = app.press("e")
        opened = app.wait_for("Every value of the run")
        yield between("form to customise", "s", 0.3, [(begin, opened)], seconds)


def training(root: Path) -> Iterator[Figure]:
    """Train the built-in model in the app: bytes a second, and how soon a key is answered."""
    with _training_app(root) as app:
        begin = app.now()
        app.watch(TRAINING_S)
        rate = partial(_rate_of, sent)
        yield between("terminal traffic while training", "bytes/s", 2048, [(begin, app.now())], rate)
        spans = []
        for _pair in range(KEYS // 2):
            for number in (1, 4):
                begin = app.press(str(number))
                spans.append((begin, app.wait_until(partial(_shows_place, app, number))))
                app.watch(random.uniform(0.1, 0.4))
        times = [milliseconds(*span) for span in spans]
        note = f"median {percentile(times, 0.5):.0f} ms, worst {max(times):.0f} ms of {len(times)}"
        wall = (sum(times) / 1000,)
        yield Figure(
            "key to paint while training, p95", "ms", 100, (percentile(times, 0.95),), (), wall, note
        )


def memory(root: Path, minutes: float) -> Iterator[Figure]:
    """Train for some minutes and fit a line to the memory of the app's own process."""
    with _training_app(root) as app:
        process = max(app.processes, key=_resident)
        first, begin, points = _steps(root), app.now(), list[tuple[float, float]]()
        while (at := (app.now().seconds - begin.seconds) / 60) < minutes:
            points.append((at, _resident(process) / 1e6))
            app.watch(_SAMPLE_S)
            if "● running" not in app.text:
                raise SystemExit(
                    f"the run ended after {at:.0f} minutes: select more epochs in the project, and "
                    "early_stopping_patience=0"
                )
        end, made = app.now(), _steps(root) - first
    tail = points[len(points) // 4 :]  # the first quarter fills caches
    each_minute, error = slope(tail)
    note = f"± {60 * error:.2f} MB/h; {made / minutes:,.0f} steps a minute; now {points[-1][1]:,.0f} MB"
    target = max(1.0, 120 * error)  # flat within twice its error
    value = (60 * each_minute,)
    cpu, wall = (end.cpu_seconds - begin.cpu_seconds,), (seconds(begin, end),)
    yield Figure("growth of memory while training", "MB/h", target, value, cpu, wall, note)


def long_run(root: Path) -> Iterator[Figure]:
    """Open a run of a million steps as the training screen does, in a process of its own."""
    write_long_run(Project(root), STEPS)
    found = []
    for _repetition in range(3):
        command = [sys.executable, "-c", _OPEN_RUN, str(root)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found.append(tuple(map(float, output.split())))
    cpu, wall = tuple(each[1] for each in found), tuple(each[2] for each in found)
    note = f"{found[0][0]:,.0f} steps; processor time"
    yield Figure("a run of 1,000,000 steps opens", "s", 1.0, cpu, cpu, wall, note)


def write_long_run(project: Project, steps: int) -> None:
    """Write the files of a finished run whose loss falls, as the recorder would."""
    project.run_dir.mkdir(parents=True, exist_ok=True)
    draw = random.Random(0)
    with project.metrics_file.open("w", encoding="utf-8") as file:
        for step in range(1, steps + 1):
            row = {
                "step": step, "epoch": 10 * (step - 1) // steps,
                "loss": 1 + 3 * math.exp(-5 * step / steps) + 0.1 * draw.random(),
                "val_loss": 1.1 + 3 * math.exp(-5 * step / steps) if step % 1000 == 0 else None,
                "learning_rate": 2e-4 * (1 - step / steps), "grad_norm": 0.5 + draw.random(),
                "tokens": draw.randrange(300, 500), "tokens_per_second": 200 + 20 * draw.random(),
                "peak_memory_gb": 1.26, "elapsed_s": 2.0 * step, "time": "2026-01-01T12:00:00+00:00",
            }  # fmt: skip
            file.write(json.dumps(row) + "\n")
    state = RunState("finished", "", step=steps, total_steps=steps, steps_per_epoch=steps // 10)
    state.save(project.state_file)


@contextmanager
def _training_app(root: Path) -> Iterator[WatchedApp]:
    """The app with a run under way, seen on its screen; afterwards the run is paused."""
    with watched_app(root) as app:
        _verdict(app)
        _go(app, 4)
        app.press("\r")
        app.wait_until(lambda: "● running" in app.text and _steps(root))
        app.settle(_SETTLED_S, limit_s=3.0)
        yield app


def _verdict(app: WatchedApp) -> Moment:
    return app.wait_for("Ready for", "Not ready yet")


def _visit(app: WatchedApp, key: str, name: str) -> Figure:
    begin = app.press(key)
    opened = app.wait_until(partial(_shows_place, app, int(key)))
    return between(f"first visit: {name.lower()}", "ms", 300, [(begin, opened)], milliseconds)


def _idle(app: WatchedApp, name: str) -> Figure:
    app.rest(_SETTLED_S)
    begin = app.now()
    app.watch(IDLE_S)
    return between(f"idle: {name.lower()}", "bytes", 0, [(begin, app.now())], sent)


def _go(app: WatchedApp, number: int) -> None:
    app.press(str(number))
    app.wait_until(partial(_shows_place, app, number))
    app.settle(_SETTLED_S, limit_s=5.0)


def _shows_place(app: WatchedApp, number: int) -> bool:
    return f"{number} {PLACES[number - 1]}" in app.text.partition("\n")[0]


def _differs(app: WatchedApp, text: str) -> bool:
    return app.text != text


def _rate_of(value: Callable[[Moment, Moment], float], begin: Moment, end: Moment) -> float:
    return value(begin, end) / seconds(begin, end)


def _steps(root: Path) -> int:
    state = RunState.load(Project(root).state_file)
    return state.step if state else 0


def _resident(process: psutil.Process) -> int:
    return int(process.memory_info().rss)


def _train_briefly(root: Path) -> None:
    """Have a finished run in the project, made with so few rows that it takes seconds."""
    project = Project(root)
    for file in (project.valid_file, project.prompts_file):
        file.write_text("".join(file.read_text(encoding="utf-8").splitlines(keepends=True)[:2]), "utf-8")
    settings = ("max_steps=2", "num_epochs=1", "batch_size=1", "gradient_accumulation=1")
    options = [part for setting in settings for part in ("--set", setting)]
    command = [sys.executable, "-m", "tui", "-C", str(root), "train", *options]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
