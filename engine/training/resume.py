"""How a run begins: fresh, resumed from its newest intact checkpoint, or refused."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from engine.config import TrainingConfig
from engine.errors import UserError, system_reason
from engine.fingerprint import installed_versions
from engine.format import OtherVersions
from engine.i18n import _
from engine.project import Project
from engine.sanitize import one_line
from engine.training.checkpoint import (
    Checkpoint,
    RunIdentity,
    damaged_before,
    newest_checkpoint,
)
from engine.training.events import AS_BEFORE, Mode, Resumption
from engine.training.failures import command_of
from engine.training.identity import identity_of, refuse_differences
from engine.training.selected_config import (
    differences,
    going_on,
    selected_settings,
    settings_beside,
    unreadable_settings,
)
from engine.training.state import RunState, known_state

_COMPUTING = ("mlx", "mlx-lm")
"""Libraries of which another version may round otherwise."""


@dataclass(frozen=True)
class RunStart:
    """What the trainer begins with."""

    identity: RunIdentity
    checkpoint: Checkpoint | None
    """Where to go on; None for a fresh start."""
    damaged: tuple[Path, ...]
    """Checkpoints that are left out, and in the way of the coming ones."""
    notices: tuple[str, ...]
    micro_batch_divisor: int
    """How many times fewer tokens than usual go through the model at once."""


def open_run(
    project: Project,
    config: TrainingConfig | None,
    mode: Mode,
    how: Resumption = AS_BEFORE,
) -> RunStart:
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
        return RunStart(identity_of(project, config or selected_settings(project)), None, (), (), halving)
    state = known_state(project.state_file)
    if state and state.status == "finished":
        raise UserError(
            _("The run in {folder} is finished").format(folder=project.run_dir),
            _("start a new one, the old one is archived: R in the app, or mqlora-tui train --restart"),
        )
    checkpoint, damaged = _newest(project, mode)
    divisor = halving * _divisor(state, checkpoint)
    notices: tuple[str, ...] = ()
    if checkpoint:
        identity, notices = _continued(project, checkpoint, config, how)
    elif state is None and os.path.lexists(project.state_file):
        raise _without_state(project)
    else:
        identity = identity_of(project, config or selected_settings(project))
    older = damaged_before(checkpoint) if checkpoint else []
    notices = (*notices, *_notices(checkpoint, damaged, older), *_micro_batches(divisor, identity.config))
    return RunStart(identity, checkpoint, (*damaged, *older), notices, divisor)


def _continued(
    project: Project, checkpoint: Checkpoint, config: TrainingConfig | None, how: Resumption
) -> tuple[RunIdentity, tuple[str, ...]]:
    """Return what a run that goes on rests on, and which of the selected settings or versions differ.

    Raises:
        UserError: it is not the run that it was.
    """
    run = checkpoint.identity
    selected = config or settings_beside(project, run.config)
    identity = identity_of(project, config or going_on(run.config, selected))
    refuse_differences(run, identity, command_of(project))
    notices = _unused(differences(run.config, selected))
    notices += () if config else unreadable_settings(project)
    notices += _require_versions(checkpoint, how.accept_versions)
    return replace(identity, run=run.run, init_adapter=run.init_adapter), notices


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
        _("begin anew, the old run is archived: R in the app, or mqlora-tui train --restart"),
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
            _("Cannot read {path}: {reason}").format(path=error.filename, reason=system_reason(error)),
            _("make it readable, then run: {command}").format(command=command_of(project)),
        ) from None
    if checkpoint is None and damaged:
        raise UserError(
            _("Every checkpoint in {folder} is damaged").format(folder=project.run_dir),
            _("begin anew, the old run is archived: R in the app, or mqlora-tui train --restart"),
        )
    if checkpoint is None and mode == "resume":
        raise UserError(
            _("There is no run to resume in {folder}").format(folder=project.run_dir),
            _("start one with: mqlora-tui train"),
        )
    return checkpoint, damaged


def _notices(checkpoint: Checkpoint | None, damaged: list[Path], older: list[Path]) -> list[str]:
    """Say which checkpoints are left out; `older` ones are not missed."""
    text = _("{name} is damaged, or of another step than its name says: it is left out")
    notices = [text.format(name=folder.name) for folder in (*damaged, *older)]
    if checkpoint and damaged:
        notices.append(_("Going on from {name} instead").format(name=checkpoint.folder.name))
    return notices


def _micro_batches(divisor: int, config: TrainingConfig) -> list[str]:
    """Say what smaller micro-batches mean."""
    if divisor == 1:
        return []
    text = (
        _("Micro-batches are 1/{n} of their usual size: less memory; dropout draws other units")
        if config.lora_dropout
        else _("Micro-batches are 1/{n} of their usual size: same steps, less memory")
    )
    return [text.format(n=divisor)]
