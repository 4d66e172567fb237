"""Checkpoints: folders that appear whole or not at all, and say if they are damaged.

A folder holds `adapters.safetensors` and `adapter_config.json` (so that it works
as mlx-lm's `--adapter-path`), `optimizer.safetensors` and `state.json`, which
lists size and SHA-256 of the others, and of itself.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from engine.backend import mx
from engine.config import TrainingConfig
from engine.errors import UserError
from engine.files import PARTIAL, read_own, remove, sync, write_json
from engine.model.adapter import CONFIG, WEIGHTS
from engine.model.arrays import write_arrays
from engine.training.fingerprint import file_sha256
from engine.training.folders import checkpoint_folders, checkpoint_name, checkpoint_step
from engine.training.plan import Plan
from engine.training.progress import Progress

OPTIMIZER = "optimizer.safetensors"
STATE = "state.json"


@dataclass(frozen=True)
class RunIdentity:
    """What must not change between two sittings of a run."""

    config: TrainingConfig
    data: str
    """Fingerprint of the data files."""
    model: str
    """Fingerprint of the base model."""
    template: str = ""
    """Fingerprint of chat template and tokenizer; empty in checkpoints from before it was kept."""
    plan: Plan | None = None
    """How its steps are computed; None before that was chosen."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose files were found to be intact."""

    folder: Path
    progress: Progress
    identity: RunIdentity
    rng: tuple[int, int]
    """MLX's random key: two 32-bit words, the high one first."""


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
    """
    folder = run_dir / checkpoint_name(epoch, progress.step)
    if load_checkpoint(folder):
        write_json(folder / STATE, _state(folder, epoch, progress, identity))
        return folder
    partial = run_dir / f"{PARTIAL}{folder.name}"
    remove(partial)
    try:
        partial.mkdir(parents=True)
        write_arrays(partial / WEIGHTS, weights)
        write_arrays(partial / OPTIMIZER, optimizer)
        write_json(partial / CONFIG, adapter_config)
        write_json(partial / STATE, _state(partial, epoch, progress, identity))
        if folder.exists():
            discard(folder)
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
    """
    try:
        state = json.loads(read_own(folder / STATE))
        if state.pop("sha256") != _json_sha256(state) or state["step"] != checkpoint_step(folder):
            return None
        for name, expected in state["files"].items():
            path = folder / name
            if path.stat().st_size != expected["size"] or file_sha256(path) != expected["sha256"]:
                return None
        prints = state["fingerprints"]
        plan = Plan.parse(state["plan"]) if state.get("plan") else None
        config = TrainingConfig.parse(state["config"])
        identity = RunIdentity(config, prints["data"], prints["model"], prints.get("template", ""), plan)
        high, low = state["rng"]
        return Checkpoint(folder, Progress.from_dict(state["progress"]), identity, (high, low))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, UserError):
        return None


def newest_checkpoint(run_dir: Path) -> tuple[Checkpoint | None, list[Path]]:
    """Return the newest intact checkpoint and the damaged folders that are newer than it."""
    damaged: list[Path] = []
    for folder in checkpoint_folders(run_dir):
        checkpoint = load_checkpoint(folder)
        if checkpoint:
            return checkpoint, damaged
        damaged.append(folder)
    return None, damaged


def find_checkpoint(run_dir: Path, step: int | None) -> Checkpoint | None:
    """Return the intact checkpoint of `step`; None if there is none."""
    found = (load_checkpoint(path) for path in checkpoint_folders(run_dir) if checkpoint_step(path) == step)
    return next(filter(None, found), None)


def prune_checkpoints(run_dir: Path, keep: int, step: int, best_step: int | None) -> None:
    """Delete all but the newest `keep` checkpoints and the one of the best step.

    Those after `step`, where the run stands, go first: they were damaged, and
    the run went back behind them.
    """
    folders = checkpoint_folders(run_dir)
    later = [folder for folder in folders if checkpoint_step(folder) > step]
    older = [folder for folder in folders if checkpoint_step(folder) <= step][keep:]
    for folder in later + [folder for folder in older if checkpoint_step(folder) != best_step]:
        discard(folder)


def discard(folder: Path) -> None:
    """Delete a checkpoint; it vanishes in one step and is then cleared away."""
    doomed = folder.with_name(f"{PARTIAL}old-{folder.name}")
    remove(doomed)
    folder.rename(doomed)
    remove(doomed)


def _state(folder: Path, epoch: int, progress: Progress, identity: RunIdentity) -> dict[str, Any]:
    files = {name: {"size": (folder / name).stat().st_size, "sha256": file_sha256(folder / name)}
             for name in (WEIGHTS, CONFIG, OPTIMIZER)}  # fmt: skip
    state = {
        "step": progress.step,
        "epoch": epoch,
        "progress": progress.as_dict(),
        "rng": mx.random.state[0].tolist(),
        "config": identity.config.model_dump(mode="json"),
        "plan": asdict(identity.plan) if identity.plan else None,
        "fingerprints": {
            "data": identity.data,
            "model": identity.model,
            "template": identity.template,
        },
        "versions": _versions(),
        "files": files,
    }
    return {**state, "sha256": _json_sha256(state)}


@cache
def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("mqlora-tui", "mlx", "mlx-lm")}


def _json_sha256(value: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
