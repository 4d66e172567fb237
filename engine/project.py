"""The folders and files of one project directory."""

import os
from dataclasses import dataclass
from pathlib import Path

from engine.errors import UserError
from engine.find_models import find_models, no_model
from engine.i18n import _

ADAPTER_FILES = ("adapters.safetensors", "adapter_model.safetensors", "adapter_model.bin")
"""Weights of an adapter: mlx-lm's, PEFT's, and PEFT's as a pickle, which is refused where it is read."""
LOCK_NAME = ".lock"
"""Name of the lock file in the run's folder."""
RUN_NAME = "checkpoints_qlora"
"""Name of the run's folder, unless it was renamed under a run."""


@dataclass(frozen=True)
class Project:
    """Names every path that the engine reads or writes below one directory."""

    root: Path
    run_name: str = RUN_NAME

    @property
    def data_dir(self) -> Path:
        """Folder with `train.jsonl`, `valid.jsonl` and `prompts.txt`."""
        return self.root / "data"

    @property
    def train_file(self) -> Path:
        """Training examples, one JSON object a line."""
        return self.data_dir / "train.jsonl"

    @property
    def valid_file(self) -> Path:
        """Validation examples, one JSON object a line."""
        return self.data_dir / "valid.jsonl"

    @property
    def test_file(self) -> Path:
        """Held-out examples, one JSON object a line: only an evaluation reads them, no run does."""
        return self.data_dir / "test.jsonl"

    @property
    def prompts_file(self) -> Path:
        """Questions to try after training, one a line."""
        return self.data_dir / "prompts.txt"

    @property
    def additions_file(self) -> Path:
        """Right answers saved from the chat, one JSON object a line; no run reads them there."""
        return self.data_dir / "additions.jsonl"

    @property
    def models_dir(self) -> Path:
        """Folder with one base model a sub-folder."""
        return self.root / "models"

    @property
    def exports_dir(self) -> Path:
        """Folder with one export a sub-folder, where no other is named."""
        return self.root / "exports"

    @property
    def configs_dir(self) -> Path:
        """Folder with the configurations that are kept under names."""
        return self.root / "configurations"

    @property
    def run_dir(self) -> Path:
        """Everything that training writes."""
        return self.root / self.run_name

    @property
    def archive_dir(self) -> Path:
        """Folder with one earlier run a sub-folder."""
        return self.run_dir / "archive"

    @property
    def config_file(self) -> Path:
        """The exact configuration of the run."""
        return self.run_dir / "config_selected.json"

    @property
    def metrics_file(self) -> Path:
        """JSON Lines, one object per optimizer step."""
        return self.run_dir / "training_metrics.json"

    @property
    def metrics_csv(self) -> Path:
        """The same columns as `metrics_file`."""
        return self.run_dir / "training_metrics.csv"

    @property
    def state_file(self) -> Path:
        """Status of the run: running, paused, finished or failed."""
        return self.run_dir / "training_state.json"

    @property
    def adapters_dir(self) -> Path:
        """The best adapter by validation loss."""
        return self.run_dir / "adapters"

    @property
    def adapter_file(self) -> Path:
        """Weights of the best adapter; there is none before the first validation after a step."""
        return self.adapters_dir / "adapters.safetensors"

    @property
    def found_adapter(self) -> Path | None:
        """Weights in `adapters_dir`, of a run or put there, in whatever form; None where there are none."""
        found = (self.adapters_dir / name for name in ADAPTER_FILES)
        return next((path for path in found if path.is_file()), None)

    @property
    def receipt_file(self) -> Path:
        """What a finished run was made of, and what came out."""
        return self.run_dir / "receipt.json"

    @property
    def row_losses_file(self) -> Path:
        """JSON Lines: what each validation lost on each row."""
        return self.run_dir / "training_validations.jsonl"

    @property
    def answers_file(self) -> Path:
        """JSON Lines: what the model answered to the questions of `prompts_file` at each validation."""
        return self.run_dir / "training_answers.jsonl"

    @property
    def trackers_dir(self) -> Path:
        """What other programs draw the run from, a sub-folder each."""
        return self.run_dir / "trackers"

    @property
    def evaluations_dir(self) -> Path:
        """What evaluations of the run found, one JSON file each."""
        return self.run_dir / "evaluations"

    @property
    def report_dir(self) -> Path:
        """The report to hand on: HTML, Markdown and charts."""
        return self.run_dir / "report"

    @property
    def tuning_file(self) -> Path:
        """Which settings are tried by a tuning that is under way, or was the last."""
        return self.run_dir / "tuning.json"

    @property
    def note_file(self) -> Path:
        """What somebody wrote about the run."""
        return self.run_dir / "note.txt"

    @property
    def log_file(self) -> Path:
        """What a background run prints."""
        return self.run_dir / "training.log"

    @property
    def lock_file(self) -> Path:
        """Held by the one process that trains here."""
        return self.run_dir / LOCK_NAME

    @property
    def dashboard_png(self) -> Path:
        """The 4 main charts."""
        return self.run_dir / "training_dashboard.png"

    @property
    def analysis_png(self) -> Path:
        """The 6 detailed charts."""
        return self.run_dir / "training_detailed_analysis.png"

    def chart_pngs(self) -> list[Path]:
        """Return the single charts of the run that its user saved."""
        return sorted(self.run_dir.glob("chart_*_by_*_*-*.png"))

    def given_dir(self, text: str) -> Path:
        """Return the folder that a setting names; a relative path begins at the project's root."""
        return self.root / os.path.expanduser(text)

    def make_run_dir(self) -> None:
        """Make the run's folder if there is none, in a project that is there.

        Raises:
            UserError: the project's own folder is gone.
            OSError: the folder cannot be made.
        """
        if not self.root.is_dir():
            raise UserError(
                _("There is no folder {folder} any more").format(folder=self.root),
                _("leave, and name the project's present folder with -C"),
            )
        self.run_dir.mkdir(exist_ok=True)

    def models(self) -> dict[str, Path]:
        """Return the base model folders by their names below `models/`, in the order of these."""
        return find_models(self.models_dir)

    def model_dir(self, name: str) -> Path:
        """Return the folder of the base model `name`; of the only or first one if `name` is empty.

        Raises:
            UserError: there is no such model folder.
        """
        found = self.models()
        if not name and found:
            return next(iter(found.values()))
        if name in found:
            return found[name]
        if name:
            for candidate in (self.models_dir / name, self.root / name):
                if os.path.isfile(candidate / "config.json"):  # also takes a name that no file can have
                    return candidate
        raise no_model(self.models_dir, name)

    def model_name(self, name: str) -> str:
        """Return the name of the base model that `name` stands for: its own, or that of the first one.

        Raises:
            UserError: there is none.
        """
        self.model_dir(name)
        return name or next(iter(self.models()))
