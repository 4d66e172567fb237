"""The project that a monkey plays with, and what has to be left of it."""

from pathlib import Path

from engine.project import Project
from engine.training.checkpoint import newest_checkpoint
from engine.training.events import StepDone
from tests.support.tiny import RUN, files_below, metrics_rows, tiny_project, train

_CONFIG = RUN.updated(
    {
        "num_epochs": 1000,
        "batch_size": 1,
        "gradient_accumulation": 1,
        "learning_rate": 1e-4,
        "eval_every": 200,
        "save_every": 80,
    }
)
"""200,000 steps, of which a machine makes a hundred a second."""


def make_project(folder: Path) -> Project:
    """Return a project with a run that takes longer than any campaign, and which can be talked to."""
    project = tiny_project(folder / "project", train=200, valid=10)
    project.prompts_file.write_text("Quanto é 1 mais 1?\nE 2 mais 2?\n", encoding="utf-8")
    (folder / "rows.csv").write_text("prompt,completion\nOlá,Adeus\n" * 20, encoding="utf-8")
    train(project, _CONFIG, until=lambda event: isinstance(event, StepDone))
    return project


def files_of_user(project: Project) -> dict[str, bytes]:
    """Return what the user had before: everything but what the app is there to write."""
    files = files_below(project.root.parent)
    return {name: content for name, content in files.items() if project.run_dir.name not in Path(name).parts}


def files_lost(before: dict[str, bytes], after: dict[str, bytes]) -> list[str]:
    """Return which files are neither as they were nor, being data, in a backup beside them."""
    backups = {(Path(name).name, content) for name, content in after.items() if "/data/backup-" in f"/{name}"}
    return [
        name
        for name, content in before.items()
        if after.get(name) != content and (Path(name).name, content) not in backups
    ]


def require_whole(project: Project) -> None:
    """Check the run that is there; where it was put into the archive, there is none.

    Raises:
        AssertionError: a checkpoint is damaged, or steps are missing in the metrics.
    """
    _newest, damaged = newest_checkpoint(project.run_dir)
    assert not damaged, f"checkpoints are damaged: {damaged}"
    steps = [row["step"] for row in metrics_rows(project)] if project.metrics_file.exists() else []
    assert steps == list(range(1, len(steps) + 1)), "steps are missing in the metrics"
