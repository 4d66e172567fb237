"""Files that are replaced in one step or not at all."""

import errno
import os
from pathlib import Path

from engine.files import clear_partial, remove, write_atomic, write_json

import pytest


@pytest.mark.parametrize("failing", ["fsync", "replace", "chmod"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """Whatever step of it fails."""
    write_atomic(tmp_path / "file", "old")

    def fail(*_args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(tmp_path / "file", "new")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_what_a_killed_process_left_is_cleared_away(tmp_path: Path) -> None:
    """Files and folders that never became whole; nothing else."""
    write_json(tmp_path / "kept.json", {"key": "ü"})
    (tmp_path / ".partial-training_state.json.x1").touch()
    (tmp_path / ".partial-checkpoint_epoch0_step9").mkdir()
    (tmp_path / ".partial-checkpoint_epoch0_step9" / "state.json").touch()
    (tmp_path / ".lock").touch()
    clear_partial(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "kept.json"]
    clear_partial(tmp_path / "nowhere")


def test_removing_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    """A link to a folder goes, the folder stays."""
    remove(tmp_path / "nothing")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    remove(tmp_path / "link")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
