"""Writing files so that a crash leaves either the old or the new one, never half."""

import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from engine.text import json_text

PARTIAL = ".partial-"
"""How the name of everything begins that is not yet, or no longer, whole."""


def write_atomic(path: Path, content: str | bytes) -> None:
    """Replace `path` by `content` (text as UTF-8) in one step that survives a power cut.

    It goes to a temporary file beside `path`, is flushed to the disk and
    renamed over it; then the folder entry is flushed too.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f"{PARTIAL}{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # see `clear_partial`
            file.write(content.encode("utf-8") if isinstance(content, str) else content)
            file.flush()
            flush(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        remove(Path(temporary))
        raise
    sync(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, harmless for a terminal, with `write_atomic`."""
    write_atomic(path, json_text(value, indent=2) + "\n")


def flush(descriptor: int) -> None:
    """Write an open file through to the medium; on macOS fsync(2) alone stops in the drive's cache."""
    if sys.platform == "darwin":
        with suppress(OSError):  # a file system without it
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def sync(path: Path) -> None:
    """Flush a file or a folder entry to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        flush(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Delete a file or a folder with all in it, as far as the disk lets us."""
    try:
        path.unlink()
    except OSError:  # a folder, nothing, or a disk that takes no change
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def partial_folder(beside: Path, name: str) -> Iterator[Path]:
    """Make a hidden folder for the time of a block; what is still in it then is removed with it.

    What killed processes left of theirs goes before.

    Args:
        beside: folder in which it is made.
        name: part of its name, for people.

    Raises:
        OSError: it cannot be made.
    """
    clear_partial(beside)
    path = Path(tempfile.mkdtemp(prefix=f"{PARTIAL}{name}-", dir=beside))
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            path.chmod(0o755)
            yield path
        finally:
            os.close(descriptor)
    finally:
        remove(path)


def clear_partial(folder: Path) -> None:
    """Remove what a killed process left half-written or half-deleted in `folder`.

    Who is still writing holds a lock on its file or folder, which the system drops when it ends.
    """
    for path in folder.glob(f"{PARTIAL}*"):
        if not _is_locked(path):
            remove(path)


def _is_locked(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:  # a link, or what nobody can lock
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except OSError:
        return True
    finally:
        os.close(descriptor)
