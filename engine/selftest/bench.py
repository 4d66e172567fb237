"""Where the self-test works: a temporary folder with small projects, and how this program is started."""

import json
from dataclasses import dataclass
from pathlib import Path

from engine.config import TrainingConfig
from engine.find_models import label
from engine.model.demo import MODEL_NAME
from engine.project import Project
from engine.verify.child import Launcher

_TRAIN_ROWS, _VALID_ROWS = 16, 4


@dataclass
class Bench:
    """What the parts share."""

    folder: Path
    """Temporary; everything that is written goes here."""
    launcher: Launcher
    """How this program is started without a supervisor around it."""
    supervised: Launcher
    """How it is started as a user does."""
    given: Path | None
    """Folder of the base model that is there; None where the built-in one has to be written."""
    model: Path | None = None
    """Folder of the base model, once it proved usable."""

    def project(self, name: str) -> Project:
        """Return a project with the base model, if there is one yet, and a few short rows."""
        project = Project(self.folder / name)
        project.data_dir.mkdir(parents=True, exist_ok=True)
        project.models_dir.mkdir(exist_ok=True)
        project.train_file.write_text(_rows(0, _TRAIN_ROWS), encoding="utf-8")
        project.valid_file.write_text(_rows(_TRAIN_ROWS, _VALID_ROWS), encoding="utf-8")
        if self.model and not (link := project.models_dir / label(self.model)).exists():
            link.symlink_to(self.model.resolve(), target_is_directory=True)
        return project

    def config(self, **changes: object) -> TrainingConfig:
        """Return the configuration of a short run, with changes; it measures nothing beforehand."""
        model = label(self.model) if self.model else MODEL_NAME
        values = {
            "model": model,
            "batch_size": 1,
            "gradient_accumulation": 1,
            "max_seq_length": 48,
            "lora_layers": 4,
            "learning_rate": 2e-3,
            "warmup_ratio": 0.0,
            "num_epochs": 1000,
            "eval_every": 0,
            "save_every": 0,
            # The built-in model is small; what the user named may not find room otherwise.
            "frozen_weights": "packed" if self.given and self.given.name != MODEL_NAME else "resident",
        }
        return TrainingConfig.parse({**values, **changes})


def _rows(first: int, count: int) -> str:
    """Return rows whose answers have a form that a model soon learns."""
    numbers = range(first, first + count)
    return "".join(
        json.dumps({"prompt": f"What comes after {n}?", "completion": f"After {n} comes {n + 1}, of course."})
        + "\n"
        for n in numbers
    )
