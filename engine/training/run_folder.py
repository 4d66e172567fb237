"""Taking the run's folder for a session: room on the disk, and nothing in the way."""

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from engine.backend import mx
from engine.errors import UserError
from engine.files import clear_partial
from engine.i18n import _
from engine.model.adapter import adapter_weights
from engine.model.mlx_lm_adapter import CONFIG
from engine.project import Project
from engine.training.checkpoint import newest_checkpoint
from engine.training.checkpoint_folders import checkpoint_folders
from engine.training.failures import command_of, explained_writes
from engine.training.parts import Parts
from engine.training.resume import RunStart
from engine.training.retention import archive
from engine.training.selected_config import differences, settings_beside
from engine.training.state import is_unreadable
from engine.units import sizes_apart

_MARGIN = 1 << 20
"""Bytes of a checkpoint's small files, its metrics and the disk's rounding up."""


def claim_folder(parts: Parts, start: RunStart) -> list[str]:
    """Make the run's folder ready to be written; the caller holds the run lock.

    What an earlier run left is archived where a new one begins; damaged checkpoints are where one goes on.

    Args:
        parts: what is trained.
        start: how the run begins.

    Returns:
        What the user should know, in sentences.

    Raises:
        UserError: there is too little room, or the folder cannot be written.
    """
    project, is_fresh = parts.project, start.checkpoint is None
    with explained_writes(project.run_dir, command_of(project)):
        for folder in (project.run_dir, project.adapters_dir, *checkpoint_folders(project.run_dir)):
            clear_partial(folder)
        made = parts.assembled
        require_space(project.run_dir, adapter_weights(made.model), made.step.optimizer_arrays())
        if is_fresh:
            archive_run(project)
        moved = [*start.damaged, *_misfits(project)]
        target = archive(project.run_dir, moved)
        if is_fresh or not differences(parts.config, settings_beside(project, parts.config)):
            parts.config.save(project.config_file)  # else what is selected waits for the next run
    return [
        _("{name} was in the way and is now in {target}").format(name=p.name, target=target) for p in moved
    ]


def require_space(folder: Path, adapter: Mapping[str, mx.array], optimizer: Mapping[str, mx.array]) -> None:
    """Refuse to begin where two checkpoints and the best adapter do not fit.

    Args:
        folder: the run's folder.
        adapter: its float32 weights.
        optimizer: what the optimizer keeps of them.

    Raises:
        UserError: with what is needed and what is free.
        OSError: the folder cannot be looked at.
    """
    weights, kept = (sum(array.nbytes for array in arrays.values()) for arrays in (adapter, optimizer))
    needed = 2 * (weights + kept + _MARGIN) + weights
    free = shutil.disk_usage(folder).free
    if free < needed:
        needs, has = sizes_apart(needed, free)
        raise UserError(
            _("Two checkpoints and the best adapter need {needed} in {folder}, {free} are free").format(
                needed=needs, folder=folder, free=has
            ),
            _("free some disk space, or choose another project with -C"),
        )


def archive_run(project: Project) -> None:
    """Move everything of the run into `archive/<time>/`; nothing is deleted, and foreign files stay.

    The newest checkpoint and what belongs to it go last: a move that is cut
    short leaves a run that can be resumed. The configuration there is that of
    the checkpoints: the file in the run folder may already be the next run's.
    A run that never got to its first checkpoint is nothing to keep; a state that cannot be read is.
    """
    if not _has_work(project):
        return
    checkpoints = checkpoint_folders(project.run_dir)[::-1]
    others = (
        *(project.adapters_dir, project.dashboard_png, project.analysis_png, *project.chart_pngs()),
        *(project.answers_file, project.evaluations_dir, project.note_file, project.row_losses_file),
        *(project.metrics_csv, project.metrics_file, project.trackers_dir, project.report_dir),
        *(project.receipt_file, project.state_file),
    )
    target = archive(project.run_dir, [*checkpoints, *filter(os.path.lexists, others)])
    with suppress(UserError):  # a checkpoint of another version
        checkpoint, _damaged = newest_checkpoint(target)
        if checkpoint:
            checkpoint.identity.config.save(target / project.config_file.name)


def _has_work(project: Project) -> bool:
    has_metrics = project.metrics_file.is_file() and project.metrics_file.stat().st_size > 0
    has_answers = project.answers_file.is_file() and project.answers_file.stat().st_size > 0
    has_adapter = project.adapters_dir.is_dir() and any(project.adapters_dir.iterdir())
    has_files = has_metrics or has_answers or has_adapter or is_unreadable(project.state_file)
    return has_files or bool(checkpoint_folders(project.run_dir))


def _misfits(project: Project) -> list[Path]:
    """Return folders where a file belongs, and the other way round: no write could replace them."""
    files = (
        *(project.config_file, project.state_file, project.receipt_file),
        *(project.metrics_file, project.metrics_csv, project.answers_file),
    )
    adapter = (project.adapter_file, project.adapters_dir / CONFIG)
    found = [path for path in (*files, *adapter) if path.is_dir()]
    return [*found, project.adapters_dir] if project.adapters_dir.is_file() else found
