"""The data report: both files as training would use them."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event

from engine import units
from engine.config import TrainingConfig
from engine.dataset.batches.tokenize import ExampleTokenizer
from engine.dataset.inspect.duplicates import MOST_ROWS, DuplicateFinder, as_fault
from engine.dataset.inspect.load import FileReader, Passing
from engine.dataset.inspect.model_tokens import example_tokenizer, model_fault, token_faults
from engine.dataset.report import CheckStage, DataReport, Fault, FileReport
from engine.dataset.watch import watched
from engine.errors import UserError
from engine.find_models import label
from engine.i18n import _
from engine.model_folder.trial import ModelTrial
from engine.project import Project

OnCheckProgress = Callable[[CheckStage, str, int], None]
"""Called with what will be known next, the file that is read for it, and the lines read so far."""


def check_data(project: Project, config: TrainingConfig) -> DataReport:
    """Return all that can be said about both data files; see `check_stages`."""
    return list(check_stages(project, config))[-1]


def check_stages(
    project: Project,
    config: TrainingConfig,
    on_progress: OnCheckProgress = lambda stage, file, lines: None,
    cancel: Event | None = None,
) -> Iterator[DataReport]:
    """Read both data files and yield reports that know more and more, see `CheckStage`.

    The first takes seconds for a million rows, the last half a millisecond a row. What is wrong with
    the data is never raised: a missing file is a fault of line 0.

    Args:
        project: whose data is read.
        config: of the run.
        on_progress: told how far it is.
        cancel: set it on another thread to end.

    Raises:
        Cancelled: `cancel` was set.
    """
    check = _Check(project, config, on_progress, cancel or Event())
    try:
        yield check.read()
        yield check.compared()
        if counted := check.counted():
            yield counted
    finally:
        check.end()


class _Check:
    """Both files, read once for each stage: what is kept between them is small."""

    def __init__(
        self, project: Project, config: TrainingConfig, on_progress: OnCheckProgress, cancel: Event
    ) -> None:
        self._paths = (project.train_file, project.valid_file)
        self._config = config
        self._on_progress = on_progress
        self._cancel = cancel
        self._model = _Model(project, config)
        self._tokenize: ExampleTokenizer | None = None
        self._duplicates: list[Fault] = []

    def read(self) -> DataReport:
        """Return what is wrong with single rows."""
        return self._report("read", self._read)

    def compared(self) -> DataReport:
        """Return that and which rows are there twice."""
        train, valid = self._paths
        finder = DuplicateFinder(train.name, valid.name)
        report = self._report("compared", partial(self._shown, finder))
        self._duplicates = [as_fault(found) for found in finder.duplicates()]
        if not finder.is_complete:
            self._duplicates.append(_not_all_compared(train.name))
        self._compared = self._with_duplicates(report)
        return self._compared

    def counted(self) -> DataReport | None:
        """Return that, and how many tokens there are or why they cannot be counted; None if that is known."""
        self._tokenize = self._model.tokenizer()
        if self._tokenize:
            return self._with_duplicates(self._report("counted", self._count))
        faults = tuple(self._model.faults)
        return (
            None
            if faults == self._compared.model_faults
            else replace(self._compared, model=self._model.name, model_faults=faults)
        )

    def end(self) -> None:
        """End what was begun and is not needed any more."""
        self._model.end()

    def _report(self, stage: CheckStage, file_report: Callable[[Path, Passing], FileReport]) -> DataReport:
        reports = []
        for path in self._paths:
            on_progress = partial(self._on_progress, stage, path.name)
            try:
                reports.append(
                    file_report(path, partial(watched, on_progress=on_progress, cancel=self._cancel))
                )
            except UserError as error:
                fault = Fault(path.name, 0, None, "unreadable", "error", error.problem, error.fix)
                reports.append(FileReport(path.name, 0, 0, (fault,), None))
        train, valid = reports
        steps = math.ceil(train.examples / self._config.examples_per_step)
        return DataReport(train, valid, steps, self._model.name, stage, tuple(self._model.faults))

    def _read(self, path: Path, passing: Passing) -> FileReport:
        reader = FileReader(path, passing)
        for _row in reader.rows():
            pass
        return reader.report()

    def _shown(self, finder: DuplicateFinder, path: Path, passing: Passing) -> FileReport:
        reader = FileReader(path, passing)
        for row in reader.rows():
            finder.see(path.name, row)
        return reader.report()

    def _count(self, path: Path, passing: Passing) -> FileReport:
        assert self._tokenize is not None
        reader = FileReader(path, passing)
        for _example in reader.examples(self._tokenize, self._config.max_seq_length):
            pass
        return reader.report()

    def _with_duplicates(self, report: DataReport) -> DataReport:
        train, valid = (_with_faults(file, self._duplicates) for file in (report.train, report.valid))
        return replace(report, train=train, valid=valid)


class _Model:
    """The base model of a data check: looked at from outside at once, loaded by a child in the meantime."""

    def __init__(self, project: Project, config: TrainingConfig) -> None:
        self.name = ""
        """Empty where its tokens are not counted."""
        self.faults: list[Fault] = []
        self._config = config
        self._folder: Path | None = None
        self._trial: ModelTrial | None = None
        try:
            self._folder = project.model_dir(config.model)
            self._trial = ModelTrial(self._folder, config)
            self.name = label(self._folder)
        except UserError as error:
            if (
                self._folder or config.model or project.models()
            ):  # without any model the rows alone are checked
                self.faults.append(model_fault(self._folder or project.models_dir / config.model, error))

    def tokenizer(self) -> ExampleTokenizer | None:
        """Wait until the model is loaded; return what counts the tokens of rows, None where it cannot."""
        if not self._trial or not self._folder:
            return None
        try:
            self._trial.require_loads()
            tokenize = example_tokenizer(self._folder, self._config)
        except UserError as error:
            self.faults.append(model_fault(self._folder, error))
            self.name = ""
            return None
        self.faults += token_faults(self._folder, tokenize)
        return tokenize

    def end(self) -> None:
        """End the child if it is still there."""
        if self._trial:
            self._trial.end()


def _not_all_compared(file: str) -> Fault:
    text = _("near-duplicates were looked for among {rows}, not among all").format(rows=units.rows(MOST_ROWS))
    return Fault(file, 0, None, "near_twins_limit", "note", text, _("look at a part of the rows at a time"))


def _with_faults(report: FileReport, faults: Iterable[Fault]) -> FileReport:
    """Return a report with those of the faults that are of its file, in the order of lines."""
    own = [fault for fault in faults if fault.file == report.file]
    return replace(report, faults=tuple(sorted([*report.faults, *own], key=lambda fault: fault.line)))
