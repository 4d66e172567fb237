"""A long run, watched from outside: does memory grow, does anything stay open?"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from engine.project import Project
from engine.training.state import RunState
from tests.campaigns.common import ROOT

import psutil

_START_LIMIT_S = 300.0
_EVERY_S = 5.0
"""Between two looks."""
_PARTS = 10


@dataclass(frozen=True)
class Sample:
    """One look at the process."""

    minutes: float
    """Since the first step."""
    step: int
    resident_mb: float
    handles: int
    """Open descriptors."""
    threads: int
    children: int


def soak(folder: Path, minutes: float) -> list[Sample]:
    """Train the built-in model in `folder` for `minutes` after the first step, and return the looks at it."""
    program = [sys.executable, "-m", "tui", "-C", str(folder)]
    subprocess.run([*program, "demo"], cwd=ROOT, check=True)
    with subprocess.Popen(
        [*program, "train", "--profile", "SAFE", "--set", "num_epochs=1000"],
        cwd=ROOT,
        env={**os.environ, "MQLORA_GUARDED": "1"},
        stdout=subprocess.DEVNULL,
    ) as trainer:
        try:
            samples = _watch(Project(folder), trainer, minutes)
            trainer.send_signal(signal.SIGINT)
            assert trainer.wait(_START_LIMIT_S) == 128 + signal.SIGINT
        finally:
            trainer.kill()
    return samples


def parts(samples: Sequence[Sample]) -> list[Sequence[Sample]]:
    """Cut the looks into ten parts as even as can be, or fewer if there are fewer looks."""
    count, total = min(_PARTS, len(samples)), len(samples)
    return [samples[part * total // count : (part + 1) * total // count] for part in range(count)]


def summary(part: Sequence[Sample]) -> Sample:
    """Return the last look of a part, with the median of its memory."""
    return replace(part[-1], resident_mb=median(sample.resident_mb for sample in part))


def left_open(samples: Sequence[Sample]) -> list[str]:
    """Return what there were more of, all through the last part, than ever in the first."""
    first, last = parts(samples)[0], parts(samples)[-1]
    seen = {name: [[getattr(each, name) for each in part] for part in (first, last)]
            for name in ("handles", "threads", "children")}  # fmt: skip
    return [
        f"{name}: {max(begin)}, then {min(end)}"
        for name, (begin, end) in seen.items()
        if min(end) > max(begin)
    ]


def _watch(project: Project, trainer: "subprocess.Popen[bytes]", minutes: float) -> list[Sample]:
    process = psutil.Process(trainer.pid)
    _wait_for_a_step(project, trainer)
    began, samples = time.monotonic(), list[Sample]()
    while time.monotonic() - began < 60 * minutes:
        samples.append(_look(project, process, (time.monotonic() - began) / 60))
        time.sleep(_EVERY_S)
    return [*samples, _look(project, process, (time.monotonic() - began) / 60)]


def _wait_for_a_step(project: Project, trainer: "subprocess.Popen[bytes]") -> None:
    limit = time.monotonic() + _START_LIMIT_S
    while True:
        state = RunState.load(project.state_file)
        if state and state.pid == trainer.pid and state.step:
            return
        assert trainer.poll() is None, "training ended at once"
        assert time.monotonic() < limit, "no step was made"
        time.sleep(1)


def _look(project: Project, process: psutil.Process, minutes: float) -> Sample:
    state = RunState.load(project.state_file)
    return Sample(
        minutes,
        state.step if state else 0,
        process.memory_info().rss / 1e6,
        process.num_fds(),
        process.num_threads(),
        len(process.children(recursive=True)),
    )
