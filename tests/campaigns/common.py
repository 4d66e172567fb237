"""What every campaign needs: a small project, its undisturbed outcome, and the table of results."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.project import Project
from engine.training.checkpoint import newest_checkpoint
from tests.support.tiny import metrics_rows

from rich.console import Console
from rich.table import Table

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
    slowest_s: float | None = None
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
    }
    digests = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    rows = json.dumps(metrics_rows(project)).encode()
    return {**digests, "metrics": hashlib.sha256(rows).hexdigest(), "step": str(checkpoint.progress.step)}


def print_results(title: str, results: Sequence[Result], as_json: bool = False) -> None:
    """Print the rows as a table, or as one JSON object a line."""
    if as_json:
        for result in results:
            print(json.dumps({"campaign": title, **asdict(result)}))
        return
    table = Table(title=title, title_justify="left")
    for column in ("case", "tries", "survived", "lost steps", "slowest pause", "remark"):
        table.add_column(column, justify="left" if column in ("case", "remark") else "right")
    for row in results:
        slowest = "" if row.slowest_s is None else f"{row.slowest_s:.2f} s"
        lost = "" if row.lost_steps is None else str(row.lost_steps)
        table.add_row(row.case, str(row.tries), str(row.survived), lost, slowest, row.remark)
    Console(highlight=False, markup=False).print(table)
