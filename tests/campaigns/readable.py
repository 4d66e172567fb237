"""What any reader may find in a run's folder at any moment: whole files, and steps in their order."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from engine.project import Project
from engine.training.checkpoint import load_checkpoint
from engine.training.checkpoint_folders import checkpoint_folders
from engine.training.metrics import COLUMNS
from engine.training.state import RunState

from safetensors.numpy import load_file

_PAUSE_S = 0.03


@dataclass
class Looks:
    """What was seen while a run was watched."""

    number: int = 0
    faults: set[str] = field(default_factory=set)

    def look(self, project: Project) -> None:
        """Read every file of the run once."""
        self.number += 1
        self.faults.update(unreadable(project))


@contextmanager
def watched(project: Project) -> Iterator[Looks]:
    """Read every file of a run again and again, in a thread, until the `with` block ends."""
    looks, over = Looks(), threading.Event()

    def watch() -> None:
        while not over.is_set():
            looks.look(project)
            time.sleep(_PAUSE_S)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield looks
    finally:
        over.set()
        watcher.join()


def unreadable(project: Project) -> Iterator[str]:
    """Yield what a reader could make nothing of, in words."""
    if project.state_file.exists() and RunState.load(project.state_file) is None:
        yield "training_state.json is not a state"
    if project.config_file.exists() and not _is_json(project.config_file.read_bytes()):
        yield "config_selected.json is not JSON"
    yield from _metrics(project)
    for folder in checkpoint_folders(project.run_dir):
        if load_checkpoint(folder) is None and folder.exists():  # it may have been deleted just now
            yield f"{folder.name} is damaged"
    if project.adapter_file.exists() and not _is_adapter(project.adapters_dir):
        yield "adapters/ cannot be loaded"


def _metrics(project: Project) -> Iterator[str]:
    """Look at the complete lines: a line without its end is being written."""
    lines = complete_lines(project.metrics_file)
    rows = [json.loads(line) if _is_json(line) else {} for line in lines]
    if any(tuple(row) != COLUMNS for row in rows):
        yield "training_metrics.json has a line that is not a step"
    elif [row["step"] for row in rows] != list(range(1, len(rows) + 1)):
        yield "training_metrics.json does not have every step once"
    table = complete_lines(project.metrics_csv)
    if any(line.count(b",") != len(COLUMNS) - 1 for line in table):
        yield "training_metrics.csv has a line with too few or too many columns"


def complete_lines(path: Path) -> list[bytes]:
    """Return the lines of a file, without a last one that has no end yet; none if there is no file."""
    return path.read_bytes().split(b"\n")[:-1] if path.exists() else []


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except ValueError:
        return False
    return True


def _is_adapter(folder: Path) -> bool:
    """Whether weights and configuration are whole and made for each other."""
    try:
        config = json.loads((folder / "adapter_config.json").read_bytes())
        arrays = load_file(folder / "adapters.safetensors")
    except Exception:  # the library raises an exception of its own for damaged files
        return False
    ranks = {array.shape[1] for name, array in arrays.items() if name.endswith("lora_a")}
    return ranks == {config["lora_parameters"]["rank"]}
