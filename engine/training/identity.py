"""What a run rests on: its configuration, its data and its base model, which stay what they were."""

import shlex
import uuid
from pathlib import Path

from engine.config import TrainingConfig
from engine.dataset.jsonl.lines import missing_fix
from engine.errors import UserError, system_reason
from engine.fingerprint import data_fingerprint, model_fingerprint, template_fingerprint
from engine.i18n import _
from engine.model_folder.usable import require_usable
from engine.project import Project
from engine.training.checkpoint import RunIdentity
from engine.training.failures import TRAIN
from engine.training.selected_config import differences

_IMPORTABLE = (".csv", ".tsv", ".json", ".jsonl", ".parquet", ".gz")


def identity_of(project: Project, config: TrainingConfig) -> RunIdentity:
    """Fingerprint what the run rests on; the base model's name is written out.

    Raises:
        UserError: the model cannot be used, or a file is missing or unreadable.
    """
    folder = project.model_dir(config.model)
    require_usable(folder)  # before its files are read
    named = config if config.model else config.updated({"model": project.model_name("")})
    try:
        return RunIdentity(
            config=named,
            data=data_fingerprint(project),
            model=model_fingerprint(folder),
            template=template_fingerprint(folder),
            run=uuid.uuid4().hex,
        )
    except OSError as error:
        raise UserError(
            _("Cannot read {path}: {reason}").format(path=error.filename, reason=system_reason(error)),
            _data_fix(project, Path(error.filename or "")),
        ) from None


def _data_fix(project: Project, missing: Path) -> str:
    """Return what to do about a file that is not there."""
    if missing == project.valid_file and project.train_file.exists():
        return missing_fix(missing)
    if missing in (project.train_file, project.valid_file):
        others = sorted(path for path in project.data_dir.glob("*") if path.suffix in _IMPORTABLE)
        if others:
            return _("turn your rows into it with: mqlora-tui import {file}").format(
                file=shlex.quote(str(others[0]))
            )
    return _("put the file there or run: mqlora-tui demo")


def refuse_differences(saved: RunIdentity, wanted: RunIdentity, command: str) -> None:
    """Let a run go on only as what it was; `command` makes it, and begins anew.

    Raises:
        UserError: configuration, data, template or base model are others, all of which are named.
    """
    changes = differences(saved.config, wanted.config)
    if saved.data != wanted.data:
        changes.append(_("the data files have changed"))
    if saved.template and saved.template != wanted.template:
        changes.append(_("the chat template or the tokenizer has changed"))
    elif saved.model != wanted.model:
        changes.append(_("the base model has changed"))
    if changes:
        fix = _("undo that to resume, or begin anew: R in the app, or mqlora-tui train --restart")
        if command != TRAIN:
            fix = _("undo that to resume, or begin anew: {command} --restart").format(command=command)
        raise UserError(
            _("The unfinished run was started otherwise: {changes}").format(changes="; ".join(changes)), fix
        )
