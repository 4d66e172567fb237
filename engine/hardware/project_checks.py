"""Checks of what the project directory holds: the base model and the data."""

import os
import shlex
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from engine import units
from engine.config import TrainingConfig
from engine.dataset.jsonl.lines import Oddities, missing_fix, numbered_lines
from engine.dataset.jsonl.rows import read_rows
from engine.dataset.report import Fault
from engine.errors import UserError
from engine.files import open_given
from engine.find_models import label
from engine.hardware.report import Check, CheckStatus
from engine.i18n import _, number
from engine.model_folder.trial import ModelTrial
from engine.project import Project
from engine.sanitize import one_line
from engine.units import size

_FIRST_ROWS = 500
"""So many of a file are looked into."""


def begin_trial(project: Project, name: str = "") -> ModelTrial | UserError:
    """Look at the base model from outside and begin to load it; return the refusal if it cannot be used.

    Args:
        project: whose model is looked at.
        name: of its folder; empty takes the first one.
    """
    try:
        return ModelTrial(project.model_dir(name), TrainingConfig())
    except UserError as error:
        return error


def check_model(trial: ModelTrial | UserError, others: Sequence[str] = ()) -> Check:
    """Check that a base model can be used, and say how large it is.

    Args:
        trial: what `begin_trial` returned.
        others: names of models that are there too.
    """
    try:
        if isinstance(trial, UserError):
            raise trial
        trial.require_loads()
    except UserError as error:
        return Check("model", _("Base model"), _("none usable"), "error", error.problem, error.fix)
    files = trial.files
    bits = _("not quantised")
    if files.is_quantised:
        bits = _("{n}-bit").format(n=files.bits) if files.bits else _("quantised")
    weights = size(sum(path.stat().st_size for path in files.weights))
    value = ", ".join([one_line(f"models/{label(trial.folder)}", 260), bits, weights])
    if not files.is_quantised:
        detail = _("The weights are not quantised and take about four times the memory of 4-bit ones")
        fix = _("quantise it: mqlora-tui convert {folder}").format(
            folder=shlex.quote(os.fspath(trial.folder))
        )
        return Check("model", _("Base model"), value, "warning", detail, fix)
    for problem, fix in trial.warnings:
        return Check("model", _("Base model"), value, "warning", problem, fix)
    detail = ""
    if others:
        detail = _("There are others too, to be chosen as 'model' of the configuration: {names}").format(
            names=one_line(", ".join(others), 200)
        )
    return Check("model", _("Base model"), value, "ok", detail)


def check_data(project: Project) -> Check:
    """Check that both data files have rows, and the first of them can be used.

    What is wrong with all of them is the data report's business.
    """
    rows = {path.name: count_rows(path) for path in (project.train_file, project.valid_file)}
    train, valid = rows.values()
    value = _("{train} train, {valid} valid").format(train=number(train or 0), valid=number(valid or 0))
    for file, count in rows.items():
        if not count:
            problem = _("data/{file} does not exist") if count is None else _("data/{file} has no rows")
            fix = missing_fix(project.data_dir / file)
            return Check("data", _("Data"), value, "error", problem.format(file=file), fix)
    status: CheckStatus = "ok"
    detail = fix = ""
    for path in (project.train_file, project.valid_file):
        usable, faults = _first_rows(path)
        if faults and (status == "ok" or not usable):
            status = "warning" if usable else "error"
            detail, fix = _unusable(path.name, usable, faults), _("see all of them with: mqlora-tui validate")
        if status == "error":
            break
    return Check("data", _("Data"), value, status, detail, fix)


def _first_rows(path: Path) -> tuple[int, list[Fault]]:
    """Return how many of the first rows of a file can be used, and what is wrong with the others.

    Rows that ask to be left out are only named where no other is there.
    """
    items = list(islice(read_rows(path), _FIRST_ROWS))
    usable = sum(not isinstance(item, Fault) for item in items)
    faults = [item for item in items if isinstance(item, Fault) and item.leaves_out]
    return usable, [fault for fault in faults if fault.severity == "error" or not usable]


def _unusable(file: str, usable: int, faults: Sequence[Fault]) -> str:
    first = faults[0]
    if not usable:
        return _("None of the first rows of data/{file} can be used; line {line}: {message}").format(
            file=file, line=first.line, message=first.message
        )
    text = _("{n} of the first {rows} of data/{file} cannot be used; line {line}: {message}")
    return text.format(
        n=len(faults),
        rows=units.rows(usable + len(faults)),
        file=file,
        line=first.line,
        message=first.message,
    )


def count_rows(path: Path) -> int | None:
    """Return the number of lines that are not blank; None if the file cannot be read."""
    try:
        with open_given(path) as file:
            return sum(1 for _line in numbered_lines(file, path.name, Oddities()))
    except OSError:
        return None
