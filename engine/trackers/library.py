"""What the library of a tracker does for a run, whichever it is."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

Row = dict[str, Any]
"""One line of the metrics file: see `engine.training.events.StepMetrics`."""


@dataclass(frozen=True)
class RunInfo:
    """What a library is told of a run."""

    folder: Path
    """Where it writes; it is there."""
    run: str
    """Number of the run, the same in all its sessions."""
    project: str
    """Name of the folder of the project."""
    config: dict[str, Any]
    """The configuration, in the types of JSON."""


class Library(Protocol):
    """Takes the figures of one session; `first` is the first step that it is given, from 1.

    It is given only steps that are final, unless it is a `Rewindable` one.
    """

    def __init__(self, info: RunInfo, first: int) -> None:
        """Open or go on with the run."""

    def log(self, row: Row) -> None:
        """Take one step."""

    def flush(self) -> None:
        """Have all that was taken on the disk."""

    def close(self, is_finished: bool) -> None:
        """End the session; the run too if it is finished."""


@runtime_checkable
class Rewindable(Protocol):
    """Goes back where steps are made again, so that it is given each step at once."""

    def rewind(self, step: int) -> None:
        """Forget this step and all after it."""


class StepsOnce:
    """What libraries have in common whose run takes each step once, and which write on their own."""

    _run: Any
    """What the library's `init` returned."""

    def log(self, row: Row) -> None:
        """Take one step."""
        self._run.log(figures(row), step=row["step"])

    def flush(self) -> None:
        """Nothing: a thread or process of the library writes."""


def figures(row: Row) -> dict[str, float]:
    """Return the figures of a step by their names in the metrics file, without those that it lacks."""
    return {name: value for name, value in row.items() if name not in ("step", "time") and value is not None}


def seconds(row: Row) -> float:
    """Return when a step ended, seconds since 1970."""
    return datetime.fromisoformat(row["time"]).timestamp()
