"""The experiment: a run left alone, the same run interrupted again and again, and what tells them apart."""

import shutil
import statistics
import tempfile
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path

from engine.config import TrainingConfig
from engine.find_models import label
from engine.project import LOCK_NAME, Project
from engine.training.checkpoint_folders import checkpoint_folders
from engine.verify.child import Launcher, training_process
from engine.verify.compare import checkpoint_digests, compare_runs
from engine.verify.interrupted import InterruptedRun
from engine.verify.interruption_point import Usual
from engine.verify.results import Advance, ExperimentEvent, ExperimentResult, Interruption
from engine.verify.scratch import scratch_project, shortened, with_whole_paths

MIN_STEPS = 6
"""Fewer leave no room for the interruptions."""


def verify(
    project: Project, config: TrainingConfig, steps: int, launcher: Launcher
) -> Generator[ExperimentEvent, None, None]:
    """Train twice in a temporary folder, once without and once with interruptions, and compare.

    Args:
        project: whose model and data to use; nothing in it is changed.
        config: what the user would train with, see `shortened` for what is changed in it.
        steps: optimizer steps, at least `MIN_STEPS`; an odd number is raised by one.
        launcher: how training is started in a process of its own.

    Yields:
        How far it is, each interruption once the run was resumed, and the verdict at the end.

    Raises:
        UserError: training was refused or failed; in its own words.
    """
    model = project.model_dir(config.model)
    steps += steps % 2
    short = shortened(with_whole_paths(config, project), label(model), steps)
    with tempfile.TemporaryDirectory(prefix="mqlora-verify-") as folder:
        file = Path(folder) / "config.json"
        short.save(file)
        straight, interrupted = (
            scratch_project(Path(folder) / name, project, model, short, steps)
            for name in ("straight", "interrupted")
        )
        usual, total = yield from _run_straight(straight, launcher, file)
        expected = checkpoint_digests(straight.run_dir)
        for checkpoint in checkpoint_folders(straight.run_dir)[1:]:
            shutil.rmtree(checkpoint)  # the interrupted run needs the room
        interrupted_by = InterruptedRun(interrupted, launcher, short.save_every, usual, total)
        yield from interrupted_by.run("--config", str(file))
        yield ExperimentResult(
            total,
            tuple(_judged(interrupted_by.interruptions, expected, checkpoint_digests(interrupted.run_dir))),
            tuple(compare_runs(straight, interrupted)),
            leftovers(interrupted),
        )


def leftovers(project: Project) -> tuple[str, ...]:
    """Return the temporary files that a run's processes have left behind."""
    hidden = project.run_dir.rglob(".*")
    return tuple(sorted(path.name for path in hidden if path.name != LOCK_NAME))


def _run_straight(
    project: Project, launcher: Launcher, config_file: Path
) -> Generator[Advance, None, tuple[Usual, int]]:
    """Train without interruption; return how long things took and the number of steps."""
    seconds: list[float] = []
    evaluations: list[float] = []
    total = 0
    with training_process(launcher, project, "--config", str(config_file)) as process:
        for event in process.events():
            if event["event"] == "started":
                total = event["total_steps"]
            elif event["event"] == "evaluated":
                evaluations.append(event["seconds"])
            elif event["event"] == "step_done":
                seconds.append(event["tokens"] / event["tokens_per_second"])
                yield Advance(False, process.step, total)
        process.end()
    return Usual(statistics.median(seconds), statistics.median(evaluations)), total


def _judged(
    interrupted_by: list[Interruption], expected: dict[int, str], found: dict[int, str]
) -> Iterator[Interruption]:
    """Yield each interruption with the first checkpoint after it compared; digests are by step."""
    for point in interrupted_by:
        later = [step for step in sorted(expected) if step in found and step > point.resumed_step]
        if point.tries and later:
            yield replace(point, compared_step=later[0], identical=expected[later[0]] == found[later[0]])
        else:
            yield point
