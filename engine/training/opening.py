"""How a run begins: fresh, resumed from its newest intact checkpoint, or refused."""

import os
import shlex
import uuid
from dataclasses import dataclass, replace
from pathlib import Path

from engine.config import TrainingConfig
from engine.dataset.lines import missing_fix
from engine.errors import UserError
from engine.format import OtherVersions
from engine.i18n import _
from engine.model_folder.usable import require_usable
from engine.project import Project
from engine.text import one_line
from engine.training.checkpoint import Checkpoint, RunIdentity, installed_versions, newest_checkpoint
from engine.training.events import AS_BEFORE, Mode, Resumption
from engine.training.fingerprint import data_fingerprint, model_fingerprint, template_fingerprint
from engine.training.selected import (
    differences,
    going_on,
    selected_settings,
    settings_beside,
    unreadable_settings,
)
from engine.training.state import RunState, known_state

_COMPUTING = ("mlx", "mlx-lm")
"""Libraries of which another version may round otherwise."""
_IMPORTABLE = (".csv", ".tsv", ".json", ".jsonl", ".parquet", ".gz")


@dataclass(frozen=True)
class Opening:
    """What the trainer begins with."""

    identity: RunIdentity
    checkpoint: Checkpoint | None
    """Where to go on; None for a fresh start."""
    notices: tuple[str, ...]
    micro_batch_divisor: int
    """How many times fewer tokens than usual go through the model at once."""


def open_run(
    project: Project,
    config: TrainingConfig | None,
    mode: Mode,
    how: Resumption = AS_BEFORE,
) -> Opening:
    """Decide where a run begins; nothing is changed yet. The caller holds the run lock.

    Args:
        project: the project directory.
        config: the wanted configuration; None takes the one of the run to resume, and tells
            if another one is selected, or the one selected where it has no checkpoint yet.
        mode: see `Mode`.
        how: what may be otherwise than before.

    Raises:
        OtherVersions: other versions of MLX computed the run so far, and that is not accepted.
        UserError: nothing to resume, a finished run in the way, only damaged or unreadable
            checkpoints, files of another version, or configuration, data or base model are not
            those of the run.
    """
    halving = 2 if how.halve_micro_batch else 1
    if mode == "restart":
        return Opening(_identity(project, config or selected_settings(project)), None, (), halving)
    state = known_state(project.state_file)
    if state and state.status == "finished":
        raise UserError(
            _("The run in {folder} is finished").format(folder=project.run_dir),
            _("start a new one with: mqlora-tui train --restart (the old one is archived)"),
        )
    checkpoint, damaged = _newest(project, mode)
    divisor = halving * _divisor(state, checkpoint)
    told: tuple[str, ...] = ()
    if checkpoint:
        identity, told = _continued(project, checkpoint, config, how)
    elif state is None and os.path.lexists(project.state_file):
        raise _without_state(project)
    else:
        identity = _identity(project, config or selected_settings(project))
    notices = _notices(checkpoint, damaged, divisor, identity.config)
    return Opening(identity, checkpoint, (*told, *notices), divisor)


def _continued(
    project: Project, checkpoint: Checkpoint, config: TrainingConfig | None, how: Resumption
) -> tuple[RunIdentity, tuple[str, ...]]:
    """Return what a run that goes on rests on, and which of the selected settings or versions differ.

    Raises:
        UserError: it is not the run that it was.
    """
    run = checkpoint.identity
    selected = config or settings_beside(project, run.config)
    identity = _identity(project, config or going_on(run.config, selected))
    _refuse_differences(run, identity)
    told = _unused(differences(run.config, selected))
    told += () if config else unreadable_settings(project)
    told += _require_versions(checkpoint, how.accept_versions)
    return replace(identity, run=run.run), told


def _require_versions(checkpoint: Checkpoint, accept: bool) -> tuple[str, ...]:
    """Say which libraries have changed under a run, if that is accepted.

    Raises:
        OtherVersions: it is not.
    """
    now = installed_versions()
    changes = [
        one_line(f"{name} {before} -> {now[name]}", 60)
        for name, before in checkpoint.versions.items()
        if name in _COMPUTING and before != now[name]
    ]
    if not changes:
        return ()
    changed = ", ".join(changes)
    if not accept:
        raise OtherVersions(
            _("The run was computed with other versions so far: {changes}").format(changes=changed),
            _("install those again, or go on with a last digit or two otherwise: {command}").format(
                command="mqlora-tui train --accept-versions"
            ),
        )
    text = _("The run goes on with other versions ({changes}): no longer byte for byte as in one go")
    return (text.format(changes=changed),)


def _without_state(project: Project) -> UserError:
    return UserError(
        _("{path} is damaged and there is no checkpoint, so nobody knows how the run stands").format(
            path=project.state_file
        ),
        _("begin anew with: mqlora-tui train --restart (the old run is archived)"),
    )


def _unused(changes: list[str]) -> tuple[str, ...]:
    """Say which of the selected settings an unfinished run that goes on does not use."""
    if not changes:
        return ()
    text = _(
        "The run goes on with its own settings; the selected ones differ: {changes}. "
        "Begin anew with them: R in the app, or mqlora-tui train --restart"
    )
    return (text.format(changes=", ".join(changes)),)


def _divisor(state: RunState | None, checkpoint: Checkpoint | None) -> int:
    """Return how small the run's micro-batches were last."""
    if state:
        return state.micro_batch_divisor
    plan = checkpoint.identity.plan if checkpoint else None
    return plan.micro_batch_divisor if plan else 1


def _newest(project: Project, mode: Mode) -> tuple[Checkpoint | None, list[Path]]:
    """Return the newest intact checkpoint, None for a fresh start, and the damaged ones after it.

    Raises:
        UserError: they cannot be read, all are damaged, or there is none and one is asked for.
    """
    try:
        checkpoint, damaged = newest_checkpoint(project.run_dir)
    except OSError as error:
        raise UserError(
            _("Cannot read {path}: {reason}").format(path=error.filename, reason=error.strerror),
            _("make it readable, then run: mqlora-tui train"),
        ) from None
    if checkpoint is None and damaged:
        raise UserError(
            _("Every checkpoint in {folder} is damaged").format(folder=project.run_dir),
            _("begin anew with: mqlora-tui train --restart (the old run is archived)"),
        )
    if checkpoint is None and mode == "resume":
        raise UserError(
            _("There is no run to resume in {folder}").format(folder=project.run_dir),
            _("start one with: mqlora-tui train"),
        )
    return checkpoint, damaged


def _notices(
    checkpoint: Checkpoint | None, damaged: list[Path], divisor: int, config: TrainingConfig
) -> tuple[str, ...]:
    text = _(
        "{name} is damaged, or of another step than its name says: it is left out, and moved to archive/ "
        "when the next checkpoint is saved"
    )
    notices = [text.format(name=folder.name) for folder in damaged]
    if checkpoint and damaged:
        notices.append(_("Going on from {name} instead").format(name=checkpoint.folder.name))
    if divisor > 1:
        text = (
            _("Micro-batches are 1/{n} of their usual size: less memory; dropout draws other units")
            if config.lora_dropout
            else _("Micro-batches are 1/{n} of their usual size: same steps, less memory")
        )
        notices.append(text.format(n=divisor))
    return tuple(notices)


def _identity(project: Project, config: TrainingConfig) -> RunIdentity:
    """Fingerprint what the run rests on; the base model's name is written out."""
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
            _("Cannot read {path}: {reason}").format(path=error.filename, reason=error.strerror),
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


def _refuse_differences(saved: RunIdentity, wanted: RunIdentity) -> None:
    changes = differences(saved.config, wanted.config)
    if saved.data != wanted.data:
        changes.append(_("the data files have changed"))
    if saved.template and saved.template != wanted.template:
        changes.append(_("the chat template or the tokenizer has changed"))
    elif saved.model != wanted.model:
        changes.append(_("the base model has changed"))
    if changes:
        raise UserError(
            _("The unfinished run was started otherwise: {changes}").format(changes="; ".join(changes)),
            _("undo that to resume, or begin anew: R in the app, or mqlora-tui train --restart"),
        )
