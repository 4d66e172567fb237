"""The slow looks at machine and data: called in threads, they answer with messages."""

import time
from collections.abc import Callable, Generator
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from threading import Event
from typing import Literal

from engine.config import TrainingConfig
from engine.dataset.report import CheckStage, DataReport
from engine.errors import Cancelled, UserError
from engine.files import open_given
from engine.hardware.report import Check, HardwareReport
from engine.profiles import profile_name, without_own_values
from engine.project import Project
from tui.app.messages import (
    CheckDone,
    DataChecked,
    DataCheckOver,
    DataCleaned,
    DataProgress,
    DemoProgress,
    DemoWritten,
    FitDone,
    FitProgress,
    HardwareChecked,
    OffersMade,
    RowRead,
)

from textual.message import Message

Post = Callable[[Message], bool]
MOST_CHARACTERS = 4_000
"""How much of an unusable line is shown."""
_TELL_S = 0.25
"""More often nobody reads it, and over SSH every word costs."""


def check_hardware(project: Project, model: str, post: Post) -> None:
    """Look at the machine; post each finding at once and the report at the end."""
    from engine.hardware.probe import iter_checks

    def looking() -> Generator[Check, None, None]:
        report = yield from iter_checks(project, model)
        post(HardwareChecked(report))

    for check in looking():
        post(CheckDone(check))


def check_data(project: Project, config: TrainingConfig, cancel: Event, post: Post) -> None:
    """Check both data files with the model's tokenizer and post how far that is and what is known.

    Loading a tokenizer takes a second or more, so it is imported here.
    """
    from engine.dataset.inspect.check import check_stages

    try:
        for report in check_stages(project, config, _reporter(post), cancel):
            post(DataChecked(config, report))
    except UserError as error:
        post(DataChecked(config, error=error))
    except Cancelled:
        pass  # what is known stays
    post(DataCheckOver(config))


def clean_data(project: Project, config: TrainingConfig, cancel: Event, post: Post) -> None:
    """Write a cleaned copy of the data; post how far that is and what the copy holds."""
    from engine.dataset.convert.clean import clean_data as write_copy

    try:
        post(DataCleaned(write_copy(project, config, on_progress=_reporter(post), cancel=cancel)))
    except UserError as error:
        post(DataCleaned(error=error))
    except Cancelled:
        post(DataCleaned())


def _reporter(post: Post) -> Callable[[CheckStage | Literal["copied"], str, int], None]:
    """Return a function that posts how far reading is, `_TELL_S` apart at least."""
    last = -_TELL_S

    def on_progress(stage: CheckStage | Literal["copied"], file: str, lines: int) -> None:
        nonlocal last
        if time.monotonic() - last >= _TELL_S:
            last = time.monotonic()
            post(DataProgress(stage, file, lines))

    return on_progress


def read_row(project: Project, config: TrainingConfig, file: str, line: int, post: Post) -> None:
    """Tokenise one row and post it; a row that cannot be used is posted as it stands."""
    from engine.dataset.inspect.preview import preview_row

    try:
        post(RowRead(file, line, preview_row(project, config, file, line)))
    except UserError as error:
        post(RowRead(file, line, error=error, raw=_raw_line(project.data_dir / file, line)))


def _raw_line(path: Path, line: int) -> str:
    """Return the start of a line, or nothing where there is none."""
    try:
        with TextIOWrapper(open_given(path), encoding="utf-8", errors="replace") as lines:
            return next(islice(lines, line - 1, None), "")[:MOST_CHARACTERS]
    except OSError:
        return ""


def write_demo(project: Project, post: Post) -> None:
    """Write the built-in model and the sample data, and post that it is done.

    It imports MLX, so it runs on the engine's thread.
    """
    from engine.model.demo import install_demo

    def on_progress(stage: str) -> None:
        post(DemoProgress(stage))

    try:
        install_demo(project, on_progress)
        post(DemoWritten())
    except UserError as error:
        post(DemoWritten(error))


def make_offers(
    project: Project, config: TrainingConfig, hardware: HardwareReport, data: DataReport | None, post: Post
) -> None:
    """Price the three profiles, and a configuration that is none of them; post the recommendation."""
    from engine.fit.measured import price_profiles
    from engine.fit.price import price_config
    from engine.model_folder.dimensions import ModelDimensions

    try:
        model = ModelDimensions.read(project.model_dir(config.model))
    except UserError:
        model = None
    recommendation = price_profiles(project, without_own_values(config), hardware, model, data)
    own = price_config(project, config, hardware, model, data) if profile_name(config) is None else None
    post(OffersMade(recommendation, config, own))


def measure_fit(project: Project, config: TrainingConfig, cancel: Event, post: Post) -> None:
    """Measure whether a configuration fits; post how far that is and what was found."""
    from engine.fit.measured import measure_and_remember
    from engine.fit.sentences import outcome, refusal

    def on_progress(text: str) -> None:
        post(FitProgress(text))

    try:
        fit = measure_and_remember(project, config, on_progress, cancel)
        post(FitDone(error=None if fit.fits else refusal(project, config, fit), outcome=outcome(fit)))
    except Cancelled:
        post(FitDone())
    except UserError as error:
        post(FitDone(error))
