"""The data report: both files as training would use them."""

import math
from pathlib import Path

from engine.config import TrainingConfig
from engine.dataset.loading import Progress, load_file
from engine.dataset.report import DataReport, Fault, FileReport
from engine.dataset.tokenizing import ExampleTokenizer, load_tokenizer
from engine.errors import UserError
from engine.project import Project


def check_data(project: Project, config: TrainingConfig, progress: Progress | None = None) -> DataReport:
    """Read both data files and report their faults, with token figures if a model is there.

    Never raises for what is wrong with the data: a missing file is a fault of line 0.
    """
    tokenize, model = _tokenizer(project, config)
    train, valid = (
        _file_report(path, tokenize, config, progress) for path in (project.train_file, project.valid_file)
    )
    return DataReport(train, valid, math.ceil(train.examples / config.examples_per_step), model)


def _tokenizer(project: Project, config: TrainingConfig) -> tuple[ExampleTokenizer | None, str]:
    try:
        folder = project.model_dir(config.model)
        return ExampleTokenizer(load_tokenizer(folder), config), folder.name
    except UserError:
        return None, ""


def _file_report(
    path: Path, tokenize: ExampleTokenizer | None, config: TrainingConfig, progress: Progress | None
) -> FileReport:
    try:
        return load_file(path, tokenize, config, progress).report
    except UserError as error:
        fault = Fault(path.name, 0, None, "unreadable", "error", error.problem, error.fix)
        return FileReport(path.name, 0, 0, (fault,), None)
