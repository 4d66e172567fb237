"""The two metrics files: JSON Lines and CSV with the same columns, flushed line by line."""

import csv
import json
import os
from dataclasses import asdict, fields
from pathlib import Path
from typing import IO, Any

from engine.files import write_atomic
from engine.project import Project
from engine.training.events import StepMetrics

COLUMNS = tuple(field.name for field in fields(StepMetrics))


class MetricsWriter:
    """Appends one line per optimizer step to both files."""

    def __init__(self, project: Project, keep_until: int) -> None:
        """Open both files and drop the lines of steps after `keep_until`, torn ones too."""
        rows = _rows_until(project.metrics_file, keep_until)
        write_atomic(project.metrics_file, "".join(json.dumps(row) + "\n" for row in rows))
        write_atomic(project.metrics_csv, "")
        self._json: IO[str] = project.metrics_file.open("a", encoding="utf-8")
        self._table: IO[str] = project.metrics_csv.open("a", encoding="utf-8", newline="")
        self._csv = csv.DictWriter(self._table, COLUMNS, lineterminator="\n")
        self._csv.writeheader()
        self._csv.writerows(rows)
        self._table.flush()

    def write(self, metrics: StepMetrics) -> None:
        """Append one step."""
        row = asdict(metrics)
        self._json.write(json.dumps(row) + "\n")
        self._csv.writerow(row)
        self._json.flush()
        self._table.flush()

    def sync(self) -> None:
        """Flush both files to the disk, so that no line is missing behind a checkpoint after a power cut."""
        os.fsync(self._json.fileno())
        os.fsync(self._table.fileno())

    def close(self) -> None:
        """Close both files."""
        self._json.close()
        self._table.close()


def _rows_until(path: Path, step: int) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue  # the torn last line of a killed run
        number = row.get("step") if isinstance(row, dict) else None
        if isinstance(number, int) and number <= step:
            rows.append({name: row.get(name) for name in COLUMNS})
    return rows
