"""The adapters of a project that can be talked to: the best of the run, and each checkpoint."""

from dataclasses import dataclass
from pathlib import Path

from engine.errors import UserError, system_reason
from engine.i18n import _
from engine.project import Project
from engine.training.checkpoint_folders import checkpoint_epoch, checkpoint_folders, checkpoint_step
from engine.training.checksums import is_whole, read_state

WEIGHTS = "adapters.safetensors"
_FILES = (WEIGHTS, "adapter_config.json")
_MOST = 500
"""Adapters that are listed."""


@dataclass(frozen=True)
class ChatAdapter:
    """An adapter to talk to."""

    folder: Path | None
    """None for what is in `adapters/`, whatever that is when a question is asked."""
    step: int = 0
    epoch: int = 0
    """From 1."""
    run: str = ""
    """Folder of an archived run; empty for the present one."""


def find_adapters(project: Project) -> list[ChatAdapter]:
    """Return the best adapter and the run's checkpoints, newest first, then those of archived runs."""
    found = [ChatAdapter(None)]
    archived = sorted((project.run_dir / "archive").glob("*"), reverse=True)
    for run in (project.run_dir, *archived):
        name = "" if run == project.run_dir else f"archive/{run.name}"
        found += [
            ChatAdapter(folder, checkpoint_step(folder), checkpoint_epoch(folder) + 1, name)
            for folder in checkpoint_folders(run)
            if (folder / WEIGHTS).is_file()
        ]
    return found[:_MOST]


def base_for(project: Project, folder: Path, selected: str) -> str:
    """Return the base model that an adapter was made for, if the project has it; imports MLX.

    Args:
        project: with the models.
        folder: of the adapter.
        selected: the model to take else.

    Raises:
        UserError: the adapter cannot be read.
    """
    from engine.model.adapter_file import adapter_base

    made_for = adapter_base(folder)
    return made_for if made_for in project.models() else selected


def require_whole(folder: Path) -> None:
    """Refuse a checkpoint whose adapter is not as it was written; hashes its files.

    Raises:
        UserError: it is damaged, cannot be read, or is another version's.
    """
    reason = _("its files are not those that were written")
    try:
        state = read_state(folder)
        sums = {name: state["files"][name] for name in _FILES} if state else {}
        if sums and is_whole(folder, sums):
            return
    except OSError as error:
        reason = system_reason(error)
    except (KeyError, TypeError):  # sealed by somebody else
        pass
    raise UserError(
        _("The checkpoint in {folder} is damaged: {reason}").format(folder=folder, reason=reason),
        _("choose another one: Esc, then k"),
    )
