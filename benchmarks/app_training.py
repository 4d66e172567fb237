"""What the app costs training: the same run headless and inside the app on a terminal, in turns.

    python -m benchmarks.app_training DIR [--steps N] [--skip N] [--pairs N] [--set KEY=VALUE]...

DIR is a project with a base model and data; it is copied, not touched. Headless,
`mqlora-tui train` writes to a pipe; the app has a terminal of 120x40, and a person who
types. What they write is read and thrown away. Step times come from `training_metrics.json`,
without the first `--skip` and the last step, which may wait for the validation. Both runs
of a pair make the same steps, so each step is compared with itself. Other work on the machine
only makes steps slower, so each is also taken at its fastest of all runs. CPU time is that of
the program's whole process group.
"""

import argparse
import signal
import statistics
import sys
import tempfile
from itertools import cycle, islice, pairwise
from math import sqrt
from pathlib import Path

from benchmarks.program import SIDES, Steps, run_program
from engine.config import TrainingConfig, parse_assignment
from engine.project import Project

HEADLESS, APP = SIDES


def make_project(source: Project, root: Path, steps: int, settings: list[str]) -> Project:
    """Make a project whose run has so many steps, with the model and rows of another.

    Raises:
        UserError: there is no model, or a setting is not known or out of range.
    """
    whole = {"num_epochs": 1, "eval_every": 0, "save_every": 0}
    config = TrainingConfig().updated({**whole, **dict(map(parse_assignment, settings))})
    model = source.model_dir(config.model)
    project = Project(root)
    for folder in (project.models_dir, project.data_dir, project.run_dir):
        folder.mkdir(parents=True)
    (project.models_dir / model.name).symlink_to(model.resolve(), target_is_directory=True)
    rows = source.train_file.read_text(encoding="utf-8").splitlines(keepends=True)
    project.train_file.write_text("".join(islice(cycle(rows), steps * config.examples_per_step)), "utf-8")
    project.valid_file.write_text(rows[0], "utf-8")
    config.save(project.config_file)
    return project


def ratio(app: Steps, headless: Steps) -> float:
    """Return the median of each step's time over that of the same step in the other run."""
    return statistics.median(_ratios(app, headless))


def describe(name: str, steps: Steps) -> str:
    """Return the line of one run."""
    rate = statistics.median(tokens / s for tokens, s in zip(steps.tokens, steps.seconds, strict=True))
    return (
        f"{name:<10} {statistics.median(steps.seconds):8.4f} {sum(steps.seconds):9.2f} {rate:9,.1f} "
        f"{steps.cpu_seconds:10.4f}"
    )


def summarize(headless: list[Steps], app: list[Steps]) -> list[str]:
    """Return the medians of each side and the ratio, with what two headless runs differ by."""
    lines = []
    for name, runs in zip(SIDES, (headless, app), strict=True):
        seconds = [s for run in runs for s in run.seconds]
        cpu = statistics.median(run.cpu_seconds for run in runs)
        lines.append(f"{name}: median step {statistics.median(seconds):.4f} s, CPU {cpu:.4f} s a step")
    pairs = [ratio(a, h) for a, h in zip(app, headless, strict=True)]
    steps = sorted(r for a, h in zip(app, headless, strict=True) for r in _ratios(a, h))
    low, high = _interval(steps)
    lines.append(
        f"app / headless: {statistics.median(pairs):.4f} "
        f"(pairs {min(pairs):.4f} to {max(pairs):.4f}; all {len(steps)} steps "
        f"{statistics.median(steps):.4f}, 95 % between {low:.4f} and {high:.4f})"
    )
    fastest = [sum(map(min, zip(*(run.seconds for run in runs), strict=True))) for runs in (app, headless)]
    lines.append(f"each step at its fastest, app / headless: {fastest[0] / fastest[1]:.4f}")
    if noise := [ratio(b, a) for a, b in pairwise(headless)]:
        lines.append(f"headless / headless before: {min(noise):.4f} to {max(noise):.4f}")
    return lines


def _ratios(app: Steps, headless: Steps) -> list[float]:
    if app.tokens != headless.tokens:
        raise ValueError("the two runs did not make the same steps")
    return [a / h for a, h in zip(app.seconds, headless.seconds, strict=True)]


def _interval(ordered: list[float]) -> tuple[float, float]:
    """Return the 95 % interval of the median: by rank, whatever the distribution."""
    half = 0.98 * sqrt(len(ordered))
    middle = len(ordered) / 2
    return ordered[max(0, int(middle - half))], ordered[min(len(ordered) - 1, int(middle + half))]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("project", type=Path, help="project with a base model and data")
    add("--steps", type=int, default=40, help="optimizer steps of a run")
    add("--skip", type=int, default=5, help="first steps that do not count")
    add("--pairs", type=int, default=4, help="runs of each side")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="setting of the runs")
    options = parser.parse_args()
    if options.steps < options.skip + 3 or options.pairs < 1:
        parser.error("at least one pair, and three steps more than are skipped, are needed")
    return options


def main() -> None:
    """Run the pairs, each side first in every other one, and print."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))  # ends what was started
    source = Project(options.project.resolve())
    found: dict[str, list[Steps]] = {side: [] for side in SIDES}
    print(f"{'run':<10} {'s/step':>8} {'s in all':>9} {'tok/s':>9} {'CPU s/step':>10}")
    for pair in range(options.pairs):
        for side in SIDES if pair % 2 == 0 else SIDES[::-1]:
            with tempfile.TemporaryDirectory() as folder:
                project = make_project(source, Path(folder) / "project", options.steps, options.set)
                found[side].append(run_program(side, project, options.steps, options.skip))
            print(describe(side, found[side][-1]), flush=True)
        print(f"pair {pair + 1}: app / headless {ratio(found[APP][-1], found[HEADLESS][-1]):.4f}", flush=True)
    print("\n".join(summarize(found[HEADLESS], found[APP])))


if __name__ == "__main__":
    main()
