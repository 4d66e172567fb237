"""One measured run in a process of its own: what it is asked (a job), and what it found (a record).

A child process is started as `python -m MODULE FOLDER`: it reads `FOLDER/job.json`
and writes `FOLDER/record.json`. What it prints goes to a file; the last line of
that is the reason where no record was written. No MLX is imported here.
"""

import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

LEARNING_RATE = 1e-4
"""Of both sides, constant, with AdamW (betas 0.9 and 0.999, bias-corrected, no decay, no clipping)."""
RANK, ALPHA = 8, 16.0
"""Of the adapter of both sides, on all seven projections of every layer."""

_ROOT = Path(__file__).resolve().parents[1]
_JOB, _RECORD, _LOG = "job.json", "record.json", "log"


@dataclass(frozen=True)
class Job:
    """A few optimizer steps to be made and measured."""

    model: str
    """Folder of the base model."""
    rows: str
    """JSONL file with the rows to draw from, at least those of `steps` steps."""
    steps: int
    batch_size: int
    accumulation: int
    max_seq_length: int
    """Tokens of the longest row."""
    settings: dict[str, Any] = field(default_factory=dict)
    """What only one side knows."""

    def lines(self) -> list[str]:
        """Return the rows as they are in the file."""
        with open(self.rows, encoding="utf-8") as file:
            return list(file)


@dataclass(frozen=True)
class Record:
    """What a run measured, a number for each optimizer step."""

    tokens: list[int]
    """Real tokens: those of the rows, prompts included, padding not."""
    seconds: list[float]
    """Wall-clock time; one less than `tokens` where the last step could not be timed by itself."""
    losses: list[float]
    """Mean cross-entropy before the update, nats per trained token."""
    peak_gb: float
    """Highest memory that MLX's arrays took since the model was loaded, GB (1e9 bytes)."""
    held_gb: float
    """Memory that MLX held after the last step, its cache of free buffers included, GB."""
    device: str


def read_job(folder: Path) -> Job:
    """Return the job of a child process."""
    return Job(**json.loads((folder / _JOB).read_text()))


def write_record(folder: Path, record: Record) -> None:
    """Write what a child process found."""
    (folder / _RECORD).write_text(json.dumps(asdict(record)))


def run_child(module: str, job: Job, timeout: float) -> Record | str:
    """Do a job in a process of its own.

    Args:
        module: name of the module to run.
        job: what it is asked.
        timeout: seconds after which it is killed.

    Returns:
        What it found, or in a few words why it found nothing.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / _JOB).write_text(json.dumps(asdict(job)))
        command = [sys.executable, "-m", module, name]
        try:
            with (folder / _LOG).open("wb") as log:
                code = subprocess.run(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=_ROOT, timeout=timeout
                ).returncode
        except subprocess.TimeoutExpired:
            return f"not done after {timeout:.0f} s"
        if (folder / _RECORD).exists():
            return Record(**json.loads((folder / _RECORD).read_text()))
        return f"exit code {code}: {_last_line(folder / _LOG)}"


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip()[:160] if lines else "nothing was printed"
