"""Small runs on disk for the tests of what a run tells afterwards."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.analysis.facts import RunSummary
from engine.analysis.summary import summarise
from engine.analysis.verdict import Verdict, judge
from engine.config import TrainingConfig
from engine.format import FORMAT
from engine.project import RUN_NAME, Project
from engine.training.checkpoint_folders import checkpoint_name
from engine.training.checksums import STATE, sealed
from engine.training.state import RunState, Status

BASE = {
    "learning_rate": 2e-4,
    "grad_norm": 1.0,
    "tokens": 100,
    "tokens_per_second": 50.0,
    "peak_memory_gb": 2.0,
    "time": "2026-01-01T00:00:00+00:00",
}
LOSSES = [4.0] * 10 + [2.0] * 10
"""Twenty steps: ten of 4.0, then ten of 2.0; two epochs of ten steps."""


def line(step: int, loss: float | None, **values: Any) -> str:
    """One line of `training_metrics.json`; two seconds a step."""
    row = {"step": step, "epoch": 0, "loss": loss, "val_loss": None, **BASE, "elapsed_s": 2.0 * step}
    return json.dumps({**row, **values}) + "\n"


def write_lines(project: Project, text: str) -> None:
    """Replace the metrics file."""
    project.run_dir.mkdir(parents=True, exist_ok=True)
    project.metrics_file.write_text(text, encoding="utf-8")


def write_checkpoint(project: Project, epoch: int, step: int, values: dict[str, Any]) -> Path:
    """Write the `state.json` of a checkpoint, with a right checksum, and return its folder."""
    folder = project.run_dir / checkpoint_name(epoch, step)
    folder.mkdir()
    (folder / STATE).write_text(json.dumps(sealed({"format": FORMAT, "step": step} | values)))
    return folder


def write_run(
    root: Path,
    losses: Sequence[float | None],
    validations: dict[int, float] | None = None,
    steps_per_epoch: int = 10,
    status: Status = "finished",
    model: str = "tiny",
    config: dict[str, Any] | None = None,
    run_name: str = RUN_NAME,
    **state: Any,
) -> Project:
    """Write a run with one step a loss, as the trainer would have left it."""
    project = Project(root, run_name)
    found = validations or {}
    lines = [
        line(step, loss, epoch=(step - 1) // steps_per_epoch, val_loss=found.get(step))
        for step, loss in enumerate(losses, 1)
    ]
    write_lines(project, "".join(lines))
    epochs = max(1, -(-len(losses) // steps_per_epoch))
    values = {"total_steps": len(losses), "steps_per_epoch": steps_per_epoch, **state}
    RunState(status, model, step=len(losses), **values).save(project.state_file)
    TrainingConfig.parse({"num_epochs": epochs, **(config or {})}).save(project.config_file)
    return project


def verdict_of(project: Project) -> tuple[RunSummary, Verdict]:
    """Return what is known of a run, and what is said of that."""
    summary = summarise(project)
    return summary, judge(summary)


def advice_of(project: Project) -> dict[str, str]:
    """Return the commands that are advised, by the kind of advice."""
    return {advice.kind: advice.command for advice in judge(summarise(project)).advice}
