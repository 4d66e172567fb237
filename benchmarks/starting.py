"""What a user waits for until something happens: help, the first step of a run, the first words of a reply.

    python -m benchmarks.starting PROJECT [--profile SAFE] [--repetitions 3]

PROJECT has a model and data; runs are made in a copy of it, whose models are a link. Each line is the
median of the repetitions: seconds from the start of the program, and processor time of it and its
children until then. Of a run the beginning of each stage is told, too.
"""

import argparse
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import psutil

_ROOT = Path(__file__).resolve().parents[1]
Moment = tuple[str, float, float]
"""What happened, seconds since the start, seconds of processor time until then."""


class Started:
    """This program, started with some arguments."""

    def __init__(self, *arguments: str) -> None:
        self._began = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tui", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=_ROOT,
        )
        assert self._process.stdout
        self._output = self._process.stdout

    def lines(self) -> Iterator[bytes]:
        """Yield what it prints, line by line."""
        yield from iter(self._output.readline, b"")

    def first_byte(self) -> None:
        """Wait until it prints."""
        self._output.read(1)

    def moment(self, what: str) -> Moment:
        """Return that something happens now."""
        seconds = time.perf_counter() - self._began
        try:
            own = psutil.Process(self._process.pid)
            times = [one.cpu_times() for one in (own, *own.children(recursive=True))]
        except psutil.Error:  # it has ended
            return what, seconds, float("nan")
        return what, seconds, sum(one.user + one.system + one.children_user for one in times)

    def end(self) -> None:
        """Pause it, and wait for its end."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        self._output.read()
        self._process.wait()


@contextmanager
def _copy(project: Path) -> Iterator[Path]:
    """Yield a project with the same model and data, and no run."""
    with tempfile.TemporaryDirectory() as name:
        shutil.copytree(project / "data", Path(name, "data"))
        Path(name, "models").symlink_to((project / "models").resolve(), target_is_directory=True)
        yield Path(name)


def measure_help() -> list[Moment]:
    """Return when `--help` is there."""
    program = Started("--help")
    program.first_byte()
    moments = [program.moment("--help")]
    program.end()
    return moments


def measure_train(project: Path, profile: str) -> list[Moment]:
    """Return when each stage of a run begins, and when its first step is made."""
    moments: dict[str, Moment] = {}
    with _copy(project) as folder:
        program = Started("-C", str(folder), "train", "--json", "--profile", profile)
        for line in program.lines():
            event = json.loads(line)
            name = event["name"] if event["event"] == "phase" else event["event"]
            moments.setdefault(name, program.moment(f"train: {name}"))
            if event["event"] == "step_done":
                break
        program.end()
    return list(moments.values())


def measure_chat(project: Path) -> list[Moment]:
    """Return when the first words of a reply are there."""
    program = Started("-C", str(project), "chat", "--base", "--prompt", "Hello")
    program.first_byte()
    moments = [program.moment("chat --prompt: first words")]
    program.end()
    return moments


def main() -> None:
    """Measure all in turn, as often as wanted, and print medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("project", type=Path)
    parser.add_argument("--profile", default="SAFE")
    parser.add_argument("--repetitions", type=int, default=3)
    options = parser.parse_args()
    found: dict[str, list[Moment]] = {}
    for _repetition in range(options.repetitions):
        moments = measure_help() + measure_chat(options.project)
        for moment in moments + measure_train(options.project, options.profile):
            found.setdefault(moment[0], []).append(moment)
    for name, times in found.items():
        seconds, busy = median(one[1] for one in times), median(one[2] for one in times)
        spread = ", ".join(f"{one[1]:.2f}" for one in times)
        print(f"{name:<28} {seconds:6.2f} s  {busy:6.2f} s of processor time   ({spread})", flush=True)


if __name__ == "__main__":
    main()
