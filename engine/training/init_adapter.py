"""The adapter that a run goes on from: found, read, and of the same base model."""

import os
from pathlib import Path

from engine.errors import UserError
from engine.i18n import _
from engine.model.adapter_file import AdapterFile, read_adapter
from engine.model.mlx_lm_adapter import BASE_PRINT, CONFIG
from engine.project import Project
from engine.sanitize import one_line
from engine.training.checkpoint import RunIdentity


def read_init_adapter(project: Project, identity: RunIdentity) -> AdapterFile | None:
    """Read the adapter that `init_adapter` names, before anything of an earlier run is moved.

    Args:
        project: below whose root a relative path begins.
        identity: of the run that is to begin.

    Returns:
        The adapter; None where the run begins afresh.

    Raises:
        UserError: there is none, it cannot be used, or it was made for another base model.
    """
    if not identity.config.init_adapter:
        return None
    folder = project.given_dir(identity.config.init_adapter)
    if not os.path.isdir(folder) and (archived := _newest_archived(project, folder)):
        raise UserError(
            _("There is no adapter in {folder}: the run that had it is archived").format(folder=folder),
            _("go on from it there: --set init_adapter={folder}").format(folder=archived),
        )
    adapter = read_adapter(folder)
    if adapter.base_fingerprint not in ("", identity.model):
        raise UserError(
            _("The adapter in {folder} was made for another base model{name} than {model}").format(
                folder=folder,
                name=f" ({one_line(adapter.base_model, 200)})" if adapter.base_model else "",
                model=identity.config.model,
            ),
            _("train on that one, or, if its weights mean the same, take {field} out of {file}").format(
                field=BASE_PRINT, file=folder / CONFIG
            ),
        )
    return adapter


def init_words(adapter: AdapterFile) -> str:
    """Say what a run goes on from."""
    text = _("Training goes on from the adapter in {folder} ({form}, SHA-256 {digest}…)")
    return text.format(
        folder=adapter.folder,
        form="PEFT" if adapter.form == "peft" else adapter.form,
        digest=adapter.sha256[:12],
    )


def _newest_archived(project: Project, folder: Path) -> Path | None:
    """Return where a folder of the run was moved to last, below the project's root; None if nowhere."""
    try:
        inner = folder.relative_to(project.run_dir)
        found = sorted(path for path in (project.run_dir / "archive").glob(f"*/{inner}") if path.is_dir())
        return found[-1].relative_to(project.root) if found else None
    except ValueError:  # another place, or no name of a folder
        return None
