"""Whether memory stays flat over a long run whose rows have many different lengths.

    python -m benchmarks.footprint MODEL [--steps N] [--shortest N] [--longest N] [--set KEY=VALUE]...

MODEL is a base model's folder. Active: what MLX holds; cache: freed buffers that it keeps; peak:
the most it held since the line before; resident: memory of the whole process. A leak, or a cache
that grows with each new shape, shows as a resident memory that does not stop to rise.
"""

import argparse
import math
import statistics
import tempfile
from pathlib import Path
from threading import Event as StopEvent

from benchmarks.workload import Workload, write_rows
from engine.backend import mx
from engine.config import TrainingConfig, parse_assignment
from engine.project import Project
from engine.training.events import StepDone
from engine.training.trainer import Trainer

import psutil

ROWS = 4
DIFFERENT_STEPS = 50
"""Steps of an epoch; their rows come again in another order in the next."""
LINES = 20


def make_project(root: Path, model: Path, shortest: int, longest: int) -> Project:
    """Make a project in `root` with rows of lengths drawn evenly between the two, in tokens."""
    project = Project(root)
    project.models_dir.mkdir()
    project.data_dir.mkdir()
    (project.models_dir / model.name).symlink_to(model.resolve(), target_is_directory=True)
    workload = Workload("varying", ROWS, shortest, longest)
    write_rows(project.train_file, workload, DIFFERENT_STEPS, model)
    write_rows(project.valid_file, workload, 2, model, seed=1)
    return project


def watch(project: Project, config: TrainingConfig, steps: int) -> list[int]:
    """Train `steps` steps and print every so often what memory is held; return the resident bytes."""
    every, stop, process = max(1, steps // LINES), StopEvent(), psutil.Process()
    resident: list[int] = []
    print(f"{'step':>7} {'active':>9} {'cache':>9} {'peak':>9} {'resident':>9}   (GB)")
    for event in Trainer(project, config, stop, "restart").run():
        if isinstance(event, StepDone) and event.metrics.step % every == 0:
            resident.append(process.memory_info().rss)
            held = (mx.get_active_memory(), mx.get_cache_memory(), mx.get_peak_memory(), resident[-1])
            print(f"{event.metrics.step:7d} " + " ".join(f"{count / 1e9:9.3f}" for count in held), flush=True)
            mx.reset_peak_memory()
            if event.metrics.step >= steps:
                stop.set()
    return resident


def main() -> None:
    """Print the lines, then how much the second half of the run differs from the one before."""
    parser = argparse.ArgumentParser(description="Memory over a long run.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--shortest", type=int, default=48)
    parser.add_argument("--longest", type=int, default=256)
    parser.add_argument("--set", dest="values", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    config = TrainingConfig(
        batch_size=ROWS,
        gradient_accumulation=1,
        max_seq_length=options.longest,
        num_epochs=math.ceil(options.steps / DIFFERENT_STEPS),
        eval_every=0,
        save_every=0,
    ).updated(dict(parse_assignment(text) for text in options.values))
    with tempfile.TemporaryDirectory(prefix="mqlora-footprint-") as folder:
        project = make_project(Path(folder), options.model, options.shortest, options.longest)
        resident = watch(project, config, options.steps)
    before, after = (
        statistics.median(part) for part in (resident[: len(resident) // 2], resident[len(resident) // 2 :])
    )
    print(f"resident, median of the first half {before / 1e9:.3f} GB, of the second {after / 1e9:.3f} GB: "
          f"{100 * (after / before - 1):+.1f} %")  # fmt: skip


if __name__ == "__main__":
    main()
