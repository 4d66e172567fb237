"""A made-up run on disk and as events, for the tests of the screens that follow training."""

import json
import math
import threading
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from engine.config import TrainingConfig
from engine.project import Project
from engine.training.answers import Answer, AnswersWriter
from engine.training.events import (
    CheckpointSaved,
    Evaluated,
    Event,
    Finished,
    Paused,
    Phase,
    Started,
    StepDone,
    StepMetrics,
    Usage,
)
from engine.training.lock import run_lock
from engine.training.state import RunState, Status

LIMIT_S = 120.0
"""Longest wait for a test that has failed before it opened a gate."""
PER_EPOCH = 20
EPOCHS = 3
TOTAL = PER_EPOCH * EPOCHS
USAGE = Usage(padding=0.25, shapes=3, evaluation=0.125)


def metrics(step: int, loss: float | None = None, val_loss: float | None = None) -> StepMetrics:
    """One step of the made-up run; its loss falls from 4 towards 1."""
    usual = 1 + 3 * math.exp(-step / 15) + 0.1 * math.sin(step * 2.4)
    return StepMetrics(
        step=step,
        epoch=(step - 1) // PER_EPOCH,
        loss=usual if loss is None else loss,
        val_loss=val_loss,
        learning_rate=2e-4 * (1 - step / TOTAL),
        grad_norm=0.8,
        tokens=400,
        tokens_per_second=212.0,
        peak_memory_gb=1.26,
        elapsed_s=2.0 * step,
        time="2026-01-01T12:00:00+00:00",
    )


def append(project: Project, row: StepMetrics) -> None:
    """Do what the engine's recorder does before a step is told."""
    project.run_dir.mkdir(parents=True, exist_ok=True)
    with project.metrics_file.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(row)) + "\n")


def write_state(project: Project, status: Status, step: int, **values: Any) -> None:
    """Write `training_state.json`."""
    project.run_dir.mkdir(parents=True, exist_ok=True)
    state = RunState(
        status,
        "toy",
        step=step,
        total_steps=TOTAL,
        steps_per_epoch=PER_EPOCH,
        initial_val_loss=4.2,
        best_step=step or None,
        best_val_loss=1.3,
    )
    replace(state, **values).save(project.state_file)


def write_run(project: Project, status: Status, steps: int = TOTAL, **values: Any) -> None:
    """Write a whole run up to `steps`."""
    for step in range(1, steps + 1):
        append(project, metrics(step, val_loss=1.3 + 2 * math.exp(-step / 15) if step % 10 == 0 else None))
    write_state(project, status, steps, **values)
    TrainingConfig(model="toy", num_epochs=EPOCHS).save(project.config_file)
    folder = project.run_dir / f"checkpoint_epoch{(steps - 1) // PER_EPOCH}_step{steps}"
    folder.mkdir()
    for path in (folder, project.adapters_dir):
        path.mkdir(exist_ok=True)
        (path / "adapters.safetensors").write_bytes(b"0" * 2048)


def answered(project: Project, question: str, *answers: tuple[int | None, str]) -> None:
    """Write answers to a question as a run does."""
    writer = AnswersWriter(project, 10**6)
    for step, text in answers:
        assert writer.write(Answer(step, question, text, "complete", 5, 0.5, 2.5, 100.0))
    writer.close()


class FakeTrainer:
    """Makes steps as long as the test allows, then pauses or finishes like the real one."""

    def __init__(self, project: Project, stop: threading.Event, steps: int, gate: threading.Event) -> None:
        self._project = project
        self._stop = stop
        self._steps = steps
        self._gate = gate
        """What the test sets to let the trainer go on after its last step."""

    def run(self) -> Iterator[Event]:
        """Yield events as `engine.training.trainer.Trainer` does."""
        with run_lock(self._project):
            yield from self._run()

    def _run(self) -> Iterator[Event]:
        yield Phase("tokenizing")
        yield Phase("loading")
        yield Started(0, TOTAL, PER_EPOCH, EPOCHS, 80, 8, 1_234_567, "toy", "CPU [/INST] \x1b[31m", 7)
        yield Evaluated(0, 0, 4.2, False, 0.5)
        write_state(self._project, "running", 0, best_step=None, best_val_loss=None)
        for step in range(1, self._steps + 1):
            row = metrics(step, val_loss=1.9 if step == self._steps else None)
            append(self._project, row)
            yield StepDone(row, USAGE)
        yield Evaluated(self._steps, 0, 1.9, True, 0.5)
        write_state(self._project, "running", self._steps, best_val_loss=1.9, usage=USAGE)
        self._gate.wait(LIMIT_S)
        yield from self._end()

    def _end(self) -> Iterator[Event]:
        folder = self._project.run_dir / f"checkpoint_epoch0_step{self._steps}"
        yield CheckpointSaved(self._steps, folder, 0.2)
        paused = self._stop.is_set()
        status: Status = "paused" if paused else "finished"
        write_state(self._project, status, self._steps, best_val_loss=1.9, usage=USAGE)
        yield Paused(self._steps, folder) if paused else Finished(self._steps, self._steps, 1.9, "completed")


def fake_project(folder: Path) -> Project:
    """A project with a base model's folder, so that nothing is missing."""
    project = Project(folder)
    (project.models_dir / "toy").mkdir(parents=True)
    (project.models_dir / "toy" / "config.json").write_text("{}", encoding="utf-8")
    return project


def toy_project(folder: Path) -> Project:
    """A project with a model's sizes and a few rows."""
    project = Project(folder)
    (project.models_dir / "toy").mkdir(parents=True)
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
    config = {"model_type": "llama", "vocab_size": 320, "num_key_value_heads": 2, **sizes}
    (project.models_dir / "toy" / "config.json").write_text(json.dumps(config))
    project.data_dir.mkdir()
    project.train_file.write_text('{"prompt": "Olá", "completion": "Adeus"}\n' * 40)
    project.valid_file.write_text('{"prompt": "Sim", "completion": "Não"}\n' * 6)
    return project
