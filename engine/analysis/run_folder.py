"""What stands in a run's folder beside its metrics and its state: configuration and checkpoints."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.config import TrainingConfig
from engine.errors import UserError
from engine.files import read_own
from engine.model_folder.settings import read_settings
from engine.project import Project
from engine.training.checkpoint_folders import checkpoint_epoch, checkpoint_folders, checkpoint_step
from engine.training.checksums import read_state, require_known

WayOn = Literal["checkpoint", "other_version", "damaged", "anew"]
"""From where an unfinished run goes on: its newest intact checkpoint; nowhere, because another version wrote
that or all are damaged; from its beginning, as it has none."""

_MOST_WIDTH = 1 << 20
"""Beyond any model."""


@dataclass(frozen=True)
class CheckpointInfo:
    """One checkpoint folder."""

    path: Path
    epoch: int
    step: int
    bytes: int


def run_config(project: Project) -> TrainingConfig | None:
    """Return the run's configuration: that of its newest checkpoint, as the file may be the next run's."""
    for folder in checkpoint_folders(project.run_dir):
        try:
            state = json.loads(read_own(folder / "state.json"))
            return TrainingConfig.parse(state["config"])
        except (OSError, ValueError, TypeError, KeyError, RecursionError, UserError):
            continue
    try:
        return TrainingConfig.load(project.config_file)
    except UserError:
        return None


def model_folder(root: Path, name: str) -> Path:
    """Return the base model's folder."""
    return root / name if name and (root / name / "config.json").is_file() else root / "models" / name


def model_width(folder: Path) -> tuple[int | None, str]:
    """Return the width of a model's residual stream and its family; nothing where it does not tell."""
    try:
        settings = read_settings(folder / "config.json")
    except UserError:
        return None, ""
    inner = settings.get("text_config")  # nested in models that also see
    found = (inner if isinstance(inner, dict) else settings).get("hidden_size")
    is_width = isinstance(found, int) and 0 < found < _MOST_WIDTH
    return found if is_width else None, str(settings.get("model_type", ""))


def find_checkpoints(project: Project) -> tuple[CheckpointInfo, ...]:
    """Return the checkpoints of a run, by step: folders so named with an adapter; they may be damaged."""
    return tuple(
        CheckpointInfo(folder, checkpoint_epoch(folder), checkpoint_step(folder), _folder_size(folder))
        for folder in reversed(checkpoint_folders(project.run_dir))
        if _has_adapter(folder)
    )


def way_on(project: Project) -> WayOn:
    """Return from where the run can go on, as `state.json` of its checkpoints tells; arrays are not read."""
    folders = checkpoint_folders(project.run_dir)
    for folder in folders:
        try:
            state = read_state(folder)
            if state is None or state.get("step") != checkpoint_step(folder):
                continue
            require_known(folder, state)
        except OSError:  # it cannot be read now
            pass
        except UserError:
            return "other_version"
        return "checkpoint"
    return "damaged" if folders else "anew"


def _has_adapter(folder: Path) -> bool:
    try:
        return (folder / "adapters.safetensors").is_file()
    except OSError:  # a folder of somebody else's
        return False


def _folder_size(path: Path) -> int:
    try:
        return sum(file.lstat().st_size for file in path.iterdir())
    except OSError:  # the trainer is just taking an old checkpoint away
        return 0
