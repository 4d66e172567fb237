"""The data report: both files as training would use them."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from engine.config import TrainingConfig
from engine.dataset.loading import Progress, load_file
from engine.dataset.report import DataReport, Fault, FileReport
from engine.dataset.rows import Row
from engine.dataset.tokenizing import ExampleTokenizer, load_tokenizer
from engine.dataset.twins import MOST_ROWS, TwinFinder, as_fault
from engine.errors import UserError
from engine.i18n import _
from engine.project import Project


def check_data(project: Project, config: TrainingConfig, progress: Progress | None = None) -> DataReport:
    """Read both data files and report their faults, with token figures if a model is there.

    Never raises for what is wrong with the data: a missing file is a fault of line 0.
    """
    tokenize, model = _tokenizer(project, config)
    finder = TwinFinder(project.train_file.name, project.valid_file.name)
    train, valid = (
        _file_report(path, tokenize, config, progress, partial(finder.see, path.name))
        for path in (project.train_file, project.valid_file)
    )
    twins = [as_fault(found) for found in finder.twins()]
    if not finder.is_complete:
        twins.append(_not_all_compared(train.file))
    train, valid = (_with_faults(report, twins) for report in (train, valid))
    return DataReport(train, valid, math.ceil(train.examples / config.examples_per_step), model)


def _tokenizer(project: Project, config: TrainingConfig) -> tuple[ExampleTokenizer | None, str]:
    try:
        folder = project.model_dir(config.model)
        return ExampleTokenizer(load_tokenizer(folder), config), folder.name
    except UserError:
        return None, ""


def _not_all_compared(file: str) -> Fault:
    text = _("near twins were looked for among {count:,} rows, not among all").format(count=MOST_ROWS)
    return Fault(file, 0, None, "near_twins_limit", "note", text, _("look at a part of the rows at a time"))


def _with_faults(report: FileReport, faults: list[Fault]) -> FileReport:
    """Return a report with those of the faults that are of its file, in the order of lines."""
    own = [fault for fault in faults if fault.file == report.file]
    return replace(report, faults=tuple(sorted([*report.faults, *own], key=lambda fault: fault.line)))


def _file_report(
    path: Path,
    tokenize: ExampleTokenizer | None,
    config: TrainingConfig,
    progress: Progress | None,
    see: Callable[[Row], None],
) -> FileReport:
    try:
        return load_file(path, tokenize, config, progress, see).report
    except UserError as error:
        fault = Fault(path.name, 0, None, "unreadable", "error", error.problem, error.fix)
        return FileReport(path.name, 0, 0, (fault,), None)
