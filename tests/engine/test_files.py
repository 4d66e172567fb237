"""Files that are replaced in one step or not at all."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

from engine.errors import UserError
from engine.files import (
    NoPlainFile,
    clear_partial,
    open_given,
    open_own,
    read_given,
    read_own,
    remove,
    write_atomic,
    write_json,
)
from tests.campaigns.places import make_socket

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


NOT_PLAIN: dict[str, Callable[[Path], None]] = {
    "a named pipe": lambda path: os.mkfifo(path),
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a folder": lambda path: path.mkdir(),
    "a socket": make_socket,
}


@pytest.mark.parametrize("kind", NOT_PLAIN)
def test_only_a_plain_file_is_opened(tmp_path: Path, kind: str) -> None:
    """Neither to read nor to write, at once, in one sentence that is an `OSError` too."""
    path = tmp_path / "file"
    NOT_PLAIN[kind](path)
    found = "a link" if path.is_symlink() else kind
    for mode in ("rb", "ab", "w"):
        with pytest.raises(NoPlainFile, match=f"file is {found}; ") as refused:
            open_own(path, mode)
        assert isinstance(refused.value, UserError) and isinstance(refused.value, OSError)
        assert refused.value.strerror == f"file is {found}"
    with pytest.raises(NoPlainFile, match=kind):
        open_given(path)


def test_a_link_in_the_place_of_our_own_file_is_not_followed(tmp_path: Path) -> None:
    """Whatever it leads to stays as it is; what people gave us may be a link."""
    (tmp_path / "foreign").write_text("foreign")
    (tmp_path / "link").symlink_to("foreign")
    (tmp_path / "nowhere").symlink_to("made by us")
    (tmp_path / "circle").symlink_to("circle")
    for name in ("link", "nowhere", "circle"):
        for mode in ("rb", "ab", "wb"):
            with pytest.raises(NoPlainFile, match="is a link"):
                open_own(tmp_path / name, mode)
    assert read_given(tmp_path / "link") == b"foreign" and not (tmp_path / "made by us").exists()
    with pytest.raises(NoPlainFile, match="is a link in a circle"):
        open_given(tmp_path / "circle")


def test_what_is_read_as_a_whole_has_a_limit(tmp_path: Path) -> None:
    """A file of any size takes no memory; a limit is met exactly."""
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1 << 40)
    for read in (read_own, read_given):
        with pytest.raises(NoPlainFile, match=r"is larger than 67\.1 MB"):
            read(tmp_path / "large")
    (tmp_path / "small").write_bytes(b"1234")
    assert read_own(tmp_path / "small", 4) == read_given(tmp_path / "small", 4) == b"1234"
    with pytest.raises(NoPlainFile, match="is larger than 3 B"):
        read_own(tmp_path / "small", 3)
    with pytest.raises(FileNotFoundError):
        read_own(tmp_path / "missing")
