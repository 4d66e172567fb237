"""Checkpoints: folders that appear whole or not at all, and say if they are damaged.

A folder holds `adapters.safetensors` and `adapter_config.json` (so that it works
as mlx-lm's `--adapter-path`), `optimizer.safetensors` and `state.json`, which
lists size and SHA-256 of the others, and of itself. Damaged is what does not fit
these; what fits them and is not understood was written by another version.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.backend import mx
from engine.config import TrainingConfig
from engine.errors import UserError
from engine.files import PARTIAL, remove, sync, write_json
from engine.fingerprint import installed_versions
from engine.format import FORMAT, KEY, other_version
from engine.model.mlx_lm_adapter import CONFIG, WEIGHTS
from engine.model.safetensors_file import write_arrays
from engine.training.checkpoint_folders import checkpoint_folders, checkpoint_name, checkpoint_step
from engine.training.checksums import STATE, is_whole, read_state, require_known, sealed, sums_of
from engine.training.execution_plan import Plan
from engine.training.progress import Progress
from engine.training.retention import OPTIMIZER, dispose

_HASHED = (WEIGHTS, CONFIG, OPTIMIZER)
"""Files whose checksums it has."""
_PRINTS = frozenset(("data", "model", "template", "init_adapter"))


@dataclass(frozen=True)
class RunIdentity:
    """What must not change between two sessions of a run."""

    config: TrainingConfig
    data: str
    """Fingerprint of the data files."""
    model: str
    """Fingerprint of the base model."""
    template: str = ""
    """Fingerprint of chat template and tokenizer; empty in checkpoints from before it was kept."""
    init_adapter: str = ""
    """SHA-256 of the weights of the adapter that it began from; empty where it began afresh."""
    plan: Plan | None = None
    """How its steps are computed; None before that was chosen."""
    run: str = field(default="", compare=False)
    """Drawn when the run began, by chance; empty in checkpoints from before it was kept."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose files were found to be intact."""

    folder: Path
    progress: Progress
    identity: RunIdentity
    rng: tuple[int, int]
    """MLX's random key: two 32-bit words, the high one first."""
    versions: dict[str, str] = field(default_factory=dict)
    """Of the libraries that computed it."""


def save_checkpoint(
    run_dir: Path,
    epoch: int,
    progress: Progress,
    identity: RunIdentity,
    weights: dict[str, mx.array],
    adapter_config: dict[str, Any],
    optimizer: dict[str, mx.array],
) -> Path:
    """Write a checkpoint and return its folder.

    Everything goes to a hidden folder first, is flushed to the disk and then
    renamed, so that no reader ever sees half a checkpoint. Where an intact
    checkpoint of the same step exists, its arrays are those of now and only its
    `state.json` is replaced: what is known of the step may be more.

    Raises:
        OSError: the disk is full or the folder cannot be written.
        UserError: a checkpoint of the same step was written by another version.
    """
    folder = run_dir / checkpoint_name(epoch, progress.step)
    if load_checkpoint(folder):
        write_json(folder / STATE, _state(folder, epoch, progress, identity))
        return folder
    partial = run_dir / f"{PARTIAL}{folder.name}"
    remove(partial)
    try:
        partial.mkdir()
        write_arrays(partial / WEIGHTS, weights)
        write_arrays(partial / OPTIMIZER, optimizer)
        write_json(partial / CONFIG, adapter_config)
        write_json(partial / STATE, _state(partial, epoch, progress, identity))
        if folder.exists():
            dispose(folder, identity.run)
        partial.rename(folder)
        sync(run_dir)
    except OSError:
        remove(partial)
        raise
    return folder


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """Read a checkpoint's state and verify its files; None if anything is damaged or missing.

    Raises:
        OSError: a file is there but cannot be read now: nobody knows whether it is damaged.
        UserError: it is whole, but was written by another version.
    """
    state = read_state(folder)
    if state is None or state.get("step") != checkpoint_step(folder):
        return None
    checkpoint = _parsed(folder, state)
    return checkpoint if is_whole(folder, state["files"]) else None


def _parsed(folder: Path, state: dict[str, Any]) -> Checkpoint:
    """Return what a whole `state.json` says.

    Raises:
        UserError: this version does not know all of it.
    """
    require_known(folder, state)
    try:
        prints = state["fingerprints"]
        plan = Plan.parse(state["plan"]) if state.get("plan") else None
        if prints.keys() - _PRINTS or (plan and state["plan"].keys() - plan.as_dict().keys()):
            raise other_version(folder)
        config = TrainingConfig.parse(state["config"])
        run = str(state.get("run", ""))
        identity = RunIdentity(
            config,
            data=prints["data"],
            model=prints["model"],
            template=prints.get("template", ""),
            init_adapter=prints.get("init_adapter", ""),
            plan=plan,
            run=run,
        )
        high, low = state["rng"]
        progress = Progress.parse(state["progress"])
        if progress.step != state["step"] or state["files"].keys() != set(_HASHED):
            raise other_version(folder)
        return Checkpoint(folder, progress, identity, (int(high), int(low)), dict(state["versions"]))
    except (ValueError, KeyError, TypeError, AttributeError, UserError):
        raise other_version(folder) from None


def newest_checkpoint(run_dir: Path) -> tuple[Checkpoint | None, list[Path]]:
    """Return the newest intact checkpoint and the damaged folders that are newer than it.

    Raises:
        OSError: a file of one cannot be read now.
        UserError: one that is as new was written by another version.
    """
    damaged: list[Path] = []
    for folder in checkpoint_folders(run_dir):
        checkpoint = load_checkpoint(folder)
        if checkpoint:
            return checkpoint, damaged
        damaged.append(folder)
    return None, damaged


def damaged_before(checkpoint: Checkpoint) -> list[Path]:
    """Return the damaged folders of the run that are older than a checkpoint of it.

    What another run or version wrote, what is of another step than its name says and what cannot be
    read now is not meant.
    """
    folders = checkpoint_folders(checkpoint.folder.parent)
    older = folders[folders.index(checkpoint.folder) + 1 :]
    return [folder for folder in older if _is_damaged(folder, checkpoint.identity.run)]


def _is_damaged(folder: Path, run: str) -> bool:
    try:
        state = read_state(folder)
        if state and (state.get("run", "") != run or state.get("step") != checkpoint_step(folder)):
            return False
        return load_checkpoint(folder) is None
    except (OSError, UserError):
        return False


def find_checkpoint(run_dir: Path, step: int | None) -> Checkpoint | None:
    """Return the intact checkpoint of `step`; None if there is none."""
    found = (load_checkpoint(path) for path in checkpoint_folders(run_dir) if checkpoint_step(path) == step)
    return next(filter(None, found), None)


def _state(folder: Path, epoch: int, progress: Progress, identity: RunIdentity) -> dict[str, Any]:
    state = {
        KEY: FORMAT,
        "run": identity.run,
        "step": progress.step,
        "epoch": epoch,
        "progress": progress.as_dict(),
        "rng": mx.random.state[0].tolist(),
        "config": identity.config.model_dump(mode="json"),
        "plan": identity.plan.as_dict() if identity.plan else None,
        "fingerprints": {
            "data": identity.data,
            "model": identity.model,
            "template": identity.template,
            "init_adapter": identity.init_adapter,
        },
        "versions": installed_versions(),
        "files": sums_of(folder, _HASHED),
    }
    return sealed(state)
