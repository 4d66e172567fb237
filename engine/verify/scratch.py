"""Small projects in a temporary folder that train as the user's own would, only shorter."""

from itertools import islice
from pathlib import Path

from engine.config import TrainingConfig
from engine.dataset.jsonl.row import Row
from engine.dataset.jsonl.rows import read_rows
from engine.files import open_given
from engine.find_models import label
from engine.project import Project

# Several micro-batches on a CPU (at most 4 rows each) and, with like lengths, on a GPU.
_VALID_ROWS = 12
_EVALUATIONS = 6
_CHECKPOINTS = 4


def scratch_project(root: Path, project: Project, model: Path, config: TrainingConfig, steps: int) -> Project:
    """Make a project in `root` that trains on the first rows of `project`'s data.

    Args:
        root: a new folder.
        project: the user's project; nothing in it is changed.
        model: its base model's folder.
        config: made by `shortened`.
        steps: optimizer steps of the whole run, an even number.

    Raises:
        UserError: a data file cannot be read.
    """
    scratch = Project(root)
    scratch.models_dir.mkdir(parents=True)
    scratch.data_dir.mkdir()
    (scratch.models_dir / label(model)).symlink_to(model.resolve(), target_is_directory=True)
    per_step = config.examples_per_step
    rows = steps // config.num_epochs * per_step - per_step // 2  # an epoch's last step is a smaller one
    scratch.train_file.write_bytes(first_rows(project.train_file, rows))
    scratch.valid_file.write_bytes(first_rows(project.valid_file, _VALID_ROWS))
    return scratch


def shortened(config: TrainingConfig, model: str, steps: int) -> TrainingConfig:
    """Return `config` for a run of `steps` steps with evaluations, checkpoints and an epoch's end inside.

    All checkpoints are kept: each is compared. Early stopping is off: the run is to reach its end.
    """
    changes = {
        "model": model,
        "num_epochs": 2,
        "max_steps": 0,
        "eval_every": max(2, steps // _EVALUATIONS),
        "save_every": max(3, steps // _CHECKPOINTS),
        "keep_checkpoints": 1000,
        "early_stopping_patience": 0,
        "trackers": (),
    }
    return config.updated(changes)


def with_whole_paths(config: TrainingConfig, project: Project) -> TrainingConfig:
    """Return `config` with folders that are the same ones from another project."""
    if not config.init_adapter:
        return config
    return config.updated({"init_adapter": str(project.given_dir(config.init_adapter).resolve())})


def first_rows(path: Path, count: int) -> bytes:
    """Return the first `count` usable lines of a data file, over and over where it has fewer.

    A file without any is returned whole, so that training says what is wrong with it.

    Raises:
        UserError: the file cannot be read.
    """
    usable = (item.line for item in read_rows(path) if isinstance(item, Row))
    chosen = set(islice(usable, count))
    with open_given(path) as file:
        if not chosen:
            return file.read()
        last = max(chosen)
        lines = [line for number, line in enumerate(islice(file, last), start=1) if number in chosen]
    lines = [line.removeprefix(b"\xef\xbb\xbf").rstrip(b"\r\n") + b"\n" for line in lines]
    return b"".join(lines[index % len(lines)] for index in range(count))
