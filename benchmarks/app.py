"""How light the app is: start, places, keys while training, bytes to the terminal, memory, a long run.

    python -m benchmarks.app DIR [--parts start places training long_run] [--json]
    python -m benchmarks.app DIR --minutes 60

DIR is a project with a base model and data; it is copied, not touched. The real program runs
on a pty of 120x40 whose screen is read as a terminal would; times are those of what was read.
A line has the target, the median, and the processor time of all processes: on a busy machine
that and the bytes are what can be believed. `--minutes` trains for so long in place of all
other parts and fits a line to the memory that the app holds. A target that is missed has a `!`.
"""

import argparse
import json
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.app_figures import HEADER, Figure, describe
from benchmarks.app_parts import long_run, memory, places, start, training
from engine.project import Project

PARTS = {"start": start, "places": places, "training": training, "long_run": long_run}


def measure(source: Path, parts: list[str], minutes: float) -> Iterator[Figure]:
    """Yield the figures of the parts, each with a fresh copy of the project.

    Args:
        source: the project.
        parts: names in `PARTS`.
        minutes: of training whose memory is watched in place of the parts; 0 for none.
    """
    for part in ["memory"] if minutes else parts:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "project"
            copy_project(source, root)
            yield from memory(root, minutes) if minutes else PARTS[part](root)


def copy_project(source: Path, root: Path) -> None:
    """Make a project with the data of another, its configuration, and links to its models."""
    shutil.copytree(source / "data", root / "data")
    (root / "models").mkdir()
    for model in (source / "models").iterdir():
        if model.is_dir() and not model.name.startswith("."):
            (root / "models" / model.name).symlink_to(model.resolve(), target_is_directory=True)
    given, made = Project(source), Project(root)
    if given.config_file.exists():
        made.make_run_dir()
        shutil.copy(given.config_file, made.config_file)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("project", type=Path, help="project with a base model and data")
    add("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    add("--minutes", type=float, default=0.0, help="train for so long and watch the memory")
    add("--json", action="store_true", help="one JSON object a line")
    return parser.parse_args()


def main() -> None:
    """Measure and print, line by line."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))  # ends what was started
    if not options.json:
        print(HEADER, flush=True)
    for figure in measure(options.project.resolve(), options.parts, options.minutes):
        print(json.dumps(figure.as_json()) if options.json else describe(figure), flush=True)


if __name__ == "__main__":
    main()
