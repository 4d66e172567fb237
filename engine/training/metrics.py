"""The two metrics files: JSON Lines and CSV with the same columns, flushed line by line."""

import csv
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, fields
from io import StringIO
from pathlib import Path
from typing import IO, Any

from engine.dataset.batches.cut import BatchShape
from engine.dataset.batches.micro_batch import MicroBatch
from engine.files import NoPlainFile, flush, open_own, read_own, write_atomic
from engine.project import Project
from engine.training.events import StepMetrics, Usage

COLUMNS = tuple(field.name for field in fields(StepMetrics))
_MOST_BYTES = 4 << 30
"""Ten million steps."""
_WHOLE = ("step", "epoch", "tokens")


class MetricsWriter:
    """Appends one line per optimizer step to both files."""

    def __init__(self, project: Project, keep_until: int) -> None:
        """Open both files and drop the lines of steps after `keep_until`, torn ones too.

        A line that is damaged in one file is taken from the other.
        """
        rows = {**_table_rows(project.metrics_csv), **_json_rows(project.metrics_file)}
        kept = [rows[step] for step in sorted(rows) if 0 < step <= keep_until]
        self.lost = keep_until - len(kept)
        """Steps up to `keep_until` whose line is in neither file."""
        self.step = keep_until
        """Of the last line."""
        write_atomic(project.metrics_file, "".join(json.dumps(row) + "\n" for row in kept))
        table = StringIO()
        writer = _table_writer(table)
        writer.writeheader()
        writer.writerows(kept)
        write_atomic(project.metrics_csv, table.getvalue())
        self._json: IO[str] = open_own(project.metrics_file, "a", encoding="utf-8")
        self._table: IO[str] = open_own(project.metrics_csv, "a", encoding="utf-8", newline="")
        self._csv = _table_writer(self._table)

    def write(self, metrics: StepMetrics) -> None:
        """Append one step."""
        row = asdict(metrics)
        self._json.write(json.dumps(row) + "\n")
        self._csv.writerow(row)
        self._json.flush()
        self._table.flush()
        self.step = metrics.step

    def sync(self) -> None:
        """Flush both files to the disk, so that no line is missing behind a checkpoint after a power cut."""
        flush(self._json.fileno())
        flush(self._table.fileno())

    def close(self) -> None:
        """Close both files."""
        try:
            self._json.close()
        finally:
            self._table.close()


def _table_writer(file: IO[str]) -> "csv.DictWriter[str]":
    return csv.DictWriter(file, COLUMNS, lineterminator="\n")


def _json_rows(path: Path) -> dict[int, dict[str, Any]]:
    """Return the whole lines of the JSON file by step."""
    rows = {}
    for line in _lines(path):
        with suppress(ValueError, RecursionError):  # half a line, or zeros after a power cut
            row = json.loads(line)
            if isinstance(row, dict) and tuple(row) == COLUMNS and isinstance(row["step"], int):
                rows[row["step"]] = row
    return rows


def _table_rows(path: Path) -> dict[int, dict[str, Any]]:
    """Return the whole lines of the CSV file by step, with the values that the JSON file has."""
    rows = {}
    for line in _lines(path):
        with suppress(ValueError):  # the header, or a line that is not whole
            pairs = zip(COLUMNS, line.split(","), strict=True)
            row = {name: _value(name, cell) for name, cell in pairs}
            rows[int(row["step"])] = row
    return rows


def _value(name: str, cell: str) -> Any:
    """Return a cell's value; no column of ours has commas or quotes in it."""
    if name in _WHOLE:
        return int(cell)
    return cell if name == "time" else float(cell) if cell else None


def _lines(path: Path) -> list[str]:
    """Return the lines of a file; none where there is none, or what is there is about to be replaced."""
    try:
        return read_own(path, _MOST_BYTES).decode("utf-8", errors="replace").splitlines()
    except (FileNotFoundError, NoPlainFile):
        return []


class UsageMeter:
    """Adds up what a session does."""

    def __init__(self) -> None:
        """Begin to count the time."""
        self._began = self._scored = time.monotonic()
        self._evaluation_s = 0.0
        self._padding = 0
        self._tokens = 0
        self._shapes: set[BatchShape] = set()

    def step(self, batches: Sequence[MicroBatch]) -> None:
        """Count the micro-batches of one optimizer step."""
        for batch in batches:
            self._padding += batch.padding
            self._tokens += batch.tokens.size
            self._shapes.add(batch.shape)

    def validation(self, batches: Sequence[MicroBatch]) -> None:
        """A validation on these micro-batches begins."""
        self._shapes.update(batch.shape for batch in batches)
        self._scored = time.monotonic()

    def scored(self) -> None:
        """Count the time of a validation since it began or was counted last."""
        before, self._scored = self._scored, time.monotonic()
        self._evaluation_s += self._scored - before

    def read(self) -> Usage:
        """Return the figures as of now."""
        spent = time.monotonic() - self._began
        return Usage(
            padding=round(self._padding / self._tokens, 4) if self._tokens else None,
            shapes=len(self._shapes),
            evaluation=round(min(1.0, self._evaluation_s / spent), 4) if self._shapes and spent else None,
        )
