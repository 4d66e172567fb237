"""A file system of a few megabytes, to be filled, and folders that may not be changed."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

LEFT_OUT = "left out: this machine does not let us"
"""Remark on an attack that needs more rights than there are."""


@cache
def can_mount() -> bool:
    """Whether this process may mount a file system: the superuser of Linux, in most containers nobody."""
    with tempfile.TemporaryDirectory() as name:
        try:
            with small_file_system(Path(name), 1 << 20):
                return True
        except (OSError, subprocess.CalledProcessError):
            return False


@cache
def can_forbid() -> bool:
    """Whether this process may forbid changes in a folder, and is then held by that itself."""
    with tempfile.TemporaryDirectory() as name:
        try:
            forbid_changes(Path(name))
            allow_changes(Path(name))
        except (OSError, subprocess.CalledProcessError):
            return False
    return True


@contextmanager
def small_file_system(folder: Path, size: int) -> Iterator[Path]:
    """Mount one of `size` bytes below `folder`; only the superuser may."""
    target = folder / "small"
    target.mkdir(exist_ok=True)
    _run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(target))
    try:
        yield target
    finally:
        _run("umount", "-l", str(target))


def fill(path: Path, left: int) -> None:
    """Write until the file system is full, then give `left` bytes back."""
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(b"\0" * 4096):
                pass
        except OSError:
            file.truncate(max(0, file.tell() - left))


def forbid_changes(folder: Path) -> None:
    """Let nothing be made, renamed or deleted in `folder`; files that are there may still grow."""
    if os.geteuid() == 0:  # permissions do not hold the superuser
        _run("chattr", "+i", str(folder))
    else:
        folder.chmod(0o500)


def allow_changes(folder: Path) -> None:
    """Take `forbid_changes` back."""
    if os.geteuid() == 0:
        _run("chattr", "-i", str(folder))
    else:
        folder.chmod(0o755)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
