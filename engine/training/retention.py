"""What a run may delete: the checkpoints that it wrote. All else goes to its archive."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from engine.errors import UserError
from engine.files import PARTIAL, remove
from engine.model.mlx_lm_adapter import CONFIG, WEIGHTS
from engine.training.checkpoint_folders import checkpoint_folders, checkpoint_step
from engine.training.checksums import STATE, read_state

OPTIMIZER = "optimizer.safetensors"
"""File of a checkpoint with the optimizer's arrays."""
_FILES = frozenset((WEIGHTS, CONFIG, OPTIMIZER, STATE))


def archive(run_dir: Path, paths: Iterable[Path]) -> Path:
    """Move `paths` into a new folder of the archive, which is made if there are any.

    Raises:
        OSError: the folder cannot be written.
    """
    name = datetime.now().strftime("%Y-%m-%d_%H%M%S_%f")
    target = run_dir / "archive" / name
    while target.exists():  # the clock was set back
        target = target.with_name(f"{target.name}_2")
    for path in paths:
        target.mkdir(parents=True, exist_ok=True)
        path.rename(target / path.name)
    return target


def dispose(folder: Path, run: str) -> None:
    """Delete a checkpoint that the run `run` wrote under this name; archive any other.

    Raises:
        OSError: the folder cannot be written.
    """
    if _wrote(folder, run):
        discard(folder)
    else:
        archive(folder.parent, [folder])


def discard(folder: Path) -> None:
    """Delete a checkpoint; it vanishes in one step and is then cleared away."""
    doomed = folder.with_name(f"{PARTIAL}old-{folder.name}")
    remove(doomed)
    folder.rename(doomed)
    remove(doomed)


def prune_checkpoints(run_dir: Path, run: str, keep: int, step: int, best_step: int | None) -> None:
    """Delete all but the newest `keep` checkpoints of a run and the one of its best step.

    Those after `step`, where the run stands, are damaged or somebody's, and the run went back behind
    them: they go to the archive. What the run did not write, or can no longer be read, is else left
    alone and is none of the `keep`.

    Args:
        run_dir: the run's folder.
        run: of which the checkpoints are, see `RunIdentity.run`.
        keep: how many stay.
        step: of the run.
        best_step: of the best adapter so far.

    Raises:
        OSError: the folder cannot be written.
    """
    folders = checkpoint_folders(run_dir)
    for folder in folders:
        if checkpoint_step(folder) > step:
            archive(run_dir, [folder])
    own = [folder for folder in folders if checkpoint_step(folder) <= step and _wrote(folder, run)]
    for folder in own[keep:]:
        if checkpoint_step(folder) != best_step:
            discard(folder)


def _wrote(folder: Path, run: str) -> bool:
    """Whether a folder is a checkpoint of the run and of the step in its name, and holds nothing else.

    A copy under another name is somebody's.
    """
    with suppress(OSError, UserError):
        state = read_state(folder)
        if state is None or state.get("run", "") != run or state.get("step") != checkpoint_step(folder):
            return False
        return all(path.name in _FILES for path in folder.iterdir())
    return False
