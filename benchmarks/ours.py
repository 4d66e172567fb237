"""Our side: a run through `engine.training.trainer.Trainer`, as the app and `mqlora-tui train` make it.

A step's time is the wall clock from one `StepDone` to the next, so what the engine
writes to disk in between counts. After the last step the validation set is scored
before its event comes: that step is not timed. The validation before the first
step has one row and is not timed either.
"""

import gc
import sys
import time
from pathlib import Path
from threading import Event as StopEvent

from benchmarks.job import ALPHA, LEARNING_RATE, RANK, Job, Record, read_job, write_record
from engine.backend import describe_device, mx
from engine.config import TrainingConfig
from engine.project import Project
from engine.training.events import Event, Phase, StepDone
from engine.training.trainer import Trainer


def make_config(job: Job) -> TrainingConfig:
    """Return the configuration of a job; its `settings` come last.

    Raises:
        UserError: a setting is not known or out of range.
    """
    config = TrainingConfig(
        batch_size=job.batch_size,
        gradient_accumulation=job.accumulation,
        max_seq_length=job.max_seq_length,
        num_epochs=1,
        learning_rate=LEARNING_RATE,
        lr_schedule="constant",
        warmup_ratio=0.0,
        max_grad_norm=0.0,
        lora_rank=RANK,
        lora_alpha=ALPHA,
        eval_every=0,
        save_every=0,
    )
    return config.updated(job.settings)


def make_project(job: Job, folder: Path) -> Project:
    """Make a project below `folder` with the job's model and rows; one row validates."""
    project = Project(folder / "project")
    project.models_dir.mkdir(parents=True)
    (project.models_dir / "model").symlink_to(job.model, target_is_directory=True)
    project.data_dir.mkdir()
    lines = job.lines()
    project.train_file.write_text("".join(lines), encoding="utf-8")
    project.valid_file.write_text(lines[0], encoding="utf-8")
    return project


class _Watch:
    """Times steps by the moments at which events arrive and are asked for."""

    def __init__(self) -> None:
        self.done: list[StepDone] = []
        self.seconds: list[float] = []
        self._since = 0.0

    def see(self, event: Event) -> None:
        """Take note of an event that has just come."""
        now = time.perf_counter()
        if isinstance(event, StepDone):
            self.done.append(event)
            self.seconds.append(now - self._since)
        if isinstance(event, StepDone) or (event == Phase("training") and not self.done):
            self._since = time.perf_counter()


def measure(job: Job, folder: Path) -> Record:
    """Make the job's steps in a project below `folder`, which may not hold one yet.

    Raises:
        UserError: the engine refuses the run.
    """
    gc.collect()  # what an earlier run in this process, perhaps a failed one, has left
    mx.clear_cache()
    watch = _Watch()
    events = Trainer(make_project(job, folder), make_config(job), StopEvent()).run()
    for event in events:
        watch.see(event)
        if len(watch.done) == job.steps:
            break
    held = mx.get_active_memory() + mx.get_cache_memory()
    events.close()  # its last checkpoint is not needed
    metrics = [event.metrics for event in watch.done]
    return Record(
        tokens=[step.tokens for step in metrics],
        seconds=watch.seconds[:-1],
        losses=[step.loss if step.loss is not None else float("nan") for step in metrics],
        peak_gb=max(step.peak_memory_gb for step in metrics),
        held_gb=held / 1e9,
        device=describe_device(),
    )


if __name__ == "__main__":
    write_record(Path(sys.argv[1]), measure(read_job(Path(sys.argv[1])), Path(sys.argv[1])))
