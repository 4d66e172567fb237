"""Checkpoints appear whole or not at all."""

import errno
import json
import math
import os
from pathlib import Path
from typing import Any

from engine.backend import mx
from engine.config import TrainingConfig
from engine.errors import UserError
from engine.training import checkpoint
from engine.training.checkpoint import (
    RunIdentity,
    load_checkpoint,
    newest_checkpoint,
    save_checkpoint,
)
from engine.training.checkpoint_folders import checkpoint_folders, checkpoint_step
from engine.training.progress import Progress
from engine.training.retention import prune_checkpoints
from tests.support.tiny import files_below

import pytest

IDENTITY = RunIdentity(TrainingConfig(model="tiny", lora_targets=("q_proj",)), "data", "model")


def save(run_dir: Path, step: int, value: float = 1.0) -> Path:
    return save_checkpoint(
        run_dir,
        step // 10,
        Progress(step=step, best_val_loss=0.1 + 0.2),
        IDENTITY,
        {"b": mx.full((2, 3), value), "a": mx.zeros(2)},
        {"fine_tune_type": "lora"},
        {"step": mx.array(step, dtype=mx.uint64)},
    )


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    """Position, identity, random state and arrays, to the last bit."""
    mx.random.seed(2**63 + 5)
    folder = save(tmp_path, 12)
    assert folder == tmp_path / "checkpoint_epoch1_step12"
    loaded = load_checkpoint(folder)
    assert loaded is not None
    assert loaded.progress == Progress(step=12, best_val_loss=0.1 + 0.2)
    assert loaded.identity == IDENTITY
    assert list(loaded.rng) == mx.random.state[0].tolist() == [2**31, 5]
    assert mx.load(str(folder / "adapters.safetensors"))["b"].tolist() == [[1.0] * 3] * 2
    state = json.loads((folder / "state.json").read_text())
    assert {"step", "epoch", "rng", "fingerprints", "versions", "files"} <= state.keys()
    assert (
        state["files"]["optimizer.safetensors"]["size"] == (folder / "optimizer.safetensors").stat().st_size
    )


def test_every_changed_byte_is_noticed(tmp_path: Path) -> None:
    """In each of the four files, at many places."""
    folder = save(tmp_path, 1)
    for name, content in files_below(folder).items():
        for place in range(0, len(content), max(1, len(content) // 40)):
            if content[place : place + 1].isspace():
                continue  # JSON does not mind
            changed = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
            if name == "state.json" and _says_the_same(changed, content):
                continue  # such as the last digit of a float
            (folder / name).write_bytes(changed)
            if name == "state.json" and _is_of_a_later_format(changed):
                continue  # refused, whatever else stands in it
            assert load_checkpoint(folder) is None, (name, place)
        (folder / name).write_bytes(content)
    assert load_checkpoint(folder) is not None


def _is_of_a_later_format(changed: bytes) -> bool:
    try:
        return bool(json.loads(changed).get("format", 0) > 2)
    except ValueError:
        return False


@pytest.mark.parametrize("number", [3, 10**400])
def test_a_later_format_is_refused_before_its_checksum_is_looked_at(tmp_path: Path, number: int) -> None:
    """That version may work it out in another way: nothing goes on from an older checkpoint."""
    save(tmp_path, 1)
    state = save(tmp_path, 2) / "state.json"
    state.write_text(json.dumps({**json.loads(state.read_text()), "format": number}))
    with pytest.raises(UserError, match="another version wrote it"):
        newest_checkpoint(tmp_path)
    prune_checkpoints(tmp_path, "", 1, step=3, best_step=None)
    assert [checkpoint_step(path) for path in checkpoint_folders(tmp_path)] == [2, 1]


@pytest.mark.parametrize("number", [True, "3", math.inf, math.nan, -1, None, [3], {"3": 3}])
def test_a_number_that_no_version_writes_is_damage(tmp_path: Path, number: object) -> None:
    """Where the checksum is not right either."""
    state = save(tmp_path, 2) / "state.json"
    state.write_text(json.dumps({**json.loads(state.read_text()), "format": number}))
    assert load_checkpoint(state.parent) is None


def _says_the_same(changed: bytes, content: bytes) -> bool:
    try:
        return bool(json.loads(changed) == json.loads(content))
    except ValueError:
        return False


@pytest.mark.parametrize("failing", ["save_safetensors", "write_json", "rename"])
@pytest.mark.parametrize("existing", [False, True])
def test_a_failed_write_leaves_no_half_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str, existing: bool
) -> None:
    """What was there stays as it was, byte for byte."""
    save(tmp_path, 1)
    if existing:
        (save(tmp_path, 2) / "state.json").write_text("{}")
    before = files_below(tmp_path)

    def fail(*_args: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    owner = {"save_safetensors": mx, "write_json": checkpoint, "rename": Path}[failing]
    monkeypatch.setattr(owner, failing, fail)
    with pytest.raises(OSError, match="No space left"):
        save(tmp_path, 2)
    assert files_below(tmp_path) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    """A read-only folder is the user's to mend."""
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError):
        save(tmp_path, 1)
    tmp_path.chmod(0o700)


def test_the_arrays_of_a_step_are_saved_once_unless_they_are_damaged(tmp_path: Path) -> None:
    """Those of an intact checkpoint are never written over, a damaged one is replaced."""
    folder = save(tmp_path, 3, 1.0)
    before = files_below(folder)
    save(tmp_path, 3, 2.0)
    assert files_below(folder) == before
    (folder / "optimizer.safetensors").write_bytes(b"")
    save(tmp_path, 3, 2.0)
    assert load_checkpoint(folder) is not None
    assert mx.load(str(folder / "adapters.safetensors"))["b"].max().item() == 2.0


def test_the_newest_intact_checkpoint_is_found_by_step(tmp_path: Path) -> None:
    """Step 100 comes after step 20, and damaged newer ones are named."""
    for step in (20, 100, 3):
        save(tmp_path, step)
    (tmp_path / "checkpoint_epoch0_stepx").mkdir()
    assert [checkpoint_step(path) for path in checkpoint_folders(tmp_path)] == [100, 20, 3]
    damaged = tmp_path / "checkpoint_epoch10_step100"
    (damaged / "adapters.safetensors").unlink()
    found, named = newest_checkpoint(tmp_path)
    assert found is not None and found.progress.step == 20 and named == [damaged]
    assert newest_checkpoint(tmp_path / "nowhere") == (None, [])


def test_old_checkpoints_go_and_the_best_stays(tmp_path: Path) -> None:
    """Everything left of what was deleted or half-written goes too."""
    for step in range(5):
        save(tmp_path, step)
    prune_checkpoints(tmp_path, "", 2, step=4, best_step=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"checkpoint_epoch0_step{step}" for step in (1, 3, 4)
    ]


def test_damaged_checkpoints_of_later_steps_take_nobodys_place(tmp_path: Path) -> None:
    """The run went back behind them; else the one just saved would be the first to go."""
    for step in (3, 11, 6):
        save(tmp_path, step)
    prune_checkpoints(tmp_path, "", 1, step=6, best_step=None)
    assert [checkpoint_step(path) for path in checkpoint_folders(tmp_path)] == [6]


def test_damaged_checkpoints_are_none_of_those_that_are_kept(tmp_path: Path) -> None:
    """A good one that is older stays for them; they are left to be looked at."""
    for step in (1, 2, 3, 4):
        save(tmp_path, step)
    (tmp_path / "checkpoint_epoch0_step3" / "state.json").write_text("{")
    prune_checkpoints(tmp_path, "", 2, step=4, best_step=None)
    assert [checkpoint_step(path) for path in checkpoint_folders(tmp_path)] == [4, 3, 2]


def test_what_is_newly_known_of_a_saved_step_is_kept(tmp_path: Path) -> None:
    """The rate halved after a roll-back, or the validation that a pause had cut short."""
    folder = save(tmp_path, 3)
    weights = (folder / "adapters.safetensors").read_bytes()
    progress = Progress(step=3, learning_rate_factor=0.5)
    save_checkpoint(tmp_path, 0, progress, IDENTITY, {"b": mx.zeros(1)}, {}, {"step": mx.zeros(1)})
    loaded = load_checkpoint(folder)
    assert loaded is not None and loaded.progress == progress
    assert (folder / "adapters.safetensors").read_bytes() == weights


def test_a_checkpoint_under_another_steps_name_is_damaged(tmp_path: Path) -> None:
    """All its files are whole, but they are not those of the step."""
    save(tmp_path, 6).rename(tmp_path / "checkpoint_epoch0_step9")
    assert load_checkpoint(tmp_path / "checkpoint_epoch0_step9") is None
