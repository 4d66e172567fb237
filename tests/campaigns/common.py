"""What every campaign needs: the outcome of an undisturbed run, and rows for the table of results."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from engine.project import Project
from engine.training.checkpoint import newest_checkpoint
from tests.support.tiny import metrics_rows

ROOT = Path(__file__).parents[2]
"""The checkout; processes are started there."""


@dataclass(frozen=True)
class Result:
    """One row of the table."""

    case: str
    tries: int
    survived: int
    """Tries that held every promise."""
    lost_steps: int | None = None
    """Most optimizer steps that had to be made again; None where nothing was interrupted."""
    slowest_pause_s: float | None = None
    """Longest time to a saved pause, in seconds; None where nothing was paused."""
    remark: str = ""


def outcome(project: Project) -> dict[str, str]:
    """Return a digest of each thing that must not depend on interruptions: two runs are equal or not."""
    checkpoint, _damaged = newest_checkpoint(project.run_dir)
    assert checkpoint is not None, "no intact checkpoint"
    files = {
        "adapters": checkpoint.folder / "adapters.safetensors",
        "optimizer": checkpoint.folder / "optimizer.safetensors",
        "best adapter": project.adapter_file,
        "losses of rows": project.row_losses_file,
    }
    digests = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    rows = json.dumps(metrics_rows(project)).encode()
    return {**digests, "metrics": hashlib.sha256(rows).hexdigest(), "step": str(checkpoint.progress.step)}


def broken(results: Iterable[Result]) -> list[str]:
    """Return the cases in which a promise was broken, each with its remark."""
    return [f"{row.case}: {row.remark}" for row in results if row.survived < row.tries]
