"""A long run: does memory grow, are file handles left open?

python -m tests.campaigns.soak DIRECTORY --minutes 30

DIRECTORY is a project with a model and data (`mqlora-tui demo`). Training is
started there for as many epochs as it takes, watched from outside, and paused.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from engine.project import Project
from engine.training.state import RunState
from tests.campaigns.common import ROOT

import psutil
from rich.console import Console
from rich.table import Table

_START_LIMIT_S = 300.0


@dataclass(frozen=True)
class Sample:
    """One look at the process."""

    minutes: float
    step: int
    resident_mb: float
    handles: int
    """Open descriptors."""
    threads: int
    children: int


def soak(project: Project, minutes: float, every_s: float) -> list[Sample]:
    """Train in `project` for `minutes` after the first step; return the looks at it, one every `every_s`."""
    command = [sys.executable, "-m", "tui", "-C", str(project.root), "train", "--restart",
               "--profile", "SAFE", "--set", "num_epochs=1000"]  # fmt: skip
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "MQLORA_GUARDED": "1"},
        stdout=subprocess.DEVNULL,
    ) as trainer:
        process = psutil.Process(trainer.pid)
        _wait_for_a_step(project, trainer)
        began, samples = time.monotonic(), list[Sample]()
        while time.monotonic() - began < 60 * minutes:
            samples.append(_look(project, process, (time.monotonic() - began) / 60))
            time.sleep(every_s)
        samples.append(_look(project, process, (time.monotonic() - began) / 60))
        trainer.send_signal(signal.SIGINT)
    assert trainer.returncode == 128 + signal.SIGINT, f"exit code {trainer.returncode}"
    return samples


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


def main() -> None:
    """Run and print the figures at the start, in between and at the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--every", type=float, default=5.0, help="seconds between two looks")
    options = parser.parse_args()
    samples = soak(Project(options.directory.resolve()), options.minutes, options.every)
    table = Table(title="soak")
    for column in ("minute", "step", "resident MB (median)", "open handles", "threads", "children"):
        table.add_column(column, justify="right")
    tenth = max(1, len(samples) // 10)
    for index in range(0, len(samples), tenth):
        part = samples[index : index + tenth]
        last = part[-1]
        resident = median(sample.resident_mb for sample in part)
        table.add_row(f"{last.minutes:.1f}", str(last.step), f"{resident:.1f}", str(last.handles),
                      str(last.threads), str(last.children))  # fmt: skip
    Console().print(table)


if __name__ == "__main__":
    main()
