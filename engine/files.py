"""Files: opened only if they are plain ones, and written so that a crash leaves the old or the new one."""

import errno
import fcntl
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import IO, Any, overload

from engine.errors import UserError
from engine.i18n import _
from engine.sanitize import json_text, one_line
from engine.units import size

PARTIAL = ".partial-"
"""How the name of everything begins that is not yet, or no longer, whole."""
MOST_BYTES = 64 << 20
"""Of a small file that is read as a whole, if nothing else is said."""


class NoPlainFile(UserError, OSError):
    """What has a file's name is a link, folder, named pipe, device or socket, or far too large.

    Whoever expects that a file cannot be read or written (`OSError`) meets it as that.
    """

    def __init__(self, path: Path, what: str, fix: str) -> None:
        super().__init__(f"{path} {what}", fix)
        self.strerror = one_line(f"{path.name} {what}")


@overload
def open_own(path: Path) -> BufferedReader: ...
@overload
def open_own(path: Path, mode: str, **options: Any) -> IO[Any]: ...
def open_own(path: Path, mode: str = "rb", **options: Any) -> IO[Any]:
    """Open a file that only this program writes: nothing is followed and nothing waited for.

    Args:
        path: of the file.
        mode: as `open` takes it.
        options: passed on to `open`.

    Raises:
        NoPlainFile: a link, or no plain file, has its place.
        OSError: it cannot be opened.
    """
    return open(path, mode, opener=lambda _path, flags: own_descriptor(path, flags), **options)


def own_descriptor(path: Path, flags: int) -> int:
    """Return the descriptor of a file as `open_own` opens it; `flags` are those of `os.open`."""
    return _descriptor(path, flags | os.O_NOFOLLOW)


def open_given(path: Path) -> BufferedReader:
    """Open a file that people put there, or a link to it, to read it; nothing is waited for.

    Raises:
        NoPlainFile: it is no plain file.
        OSError: it cannot be opened.
    """
    return open(path, "rb", opener=_descriptor)


def read_own(path: Path, most: int | None = MOST_BYTES) -> bytes:
    """Return what is in a file that only this program writes, see `open_own`; `most` bytes at most."""
    with open_own(path) as file:
        return _whole(file, path, most)


def read_given(path: Path, most: int | None = MOST_BYTES) -> bytes:
    """Return what is in a file that people put there, see `open_given`; `most` bytes at most."""
    with open_given(path) as file:
        return _whole(file, path, most)


def _descriptor(path: str | Path, flags: int) -> int:
    path = Path(path)
    try:
        descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    except OSError as error:
        # A socket cannot be opened, a named pipe not be written to, and a link is not followed.
        found = _found(path, follow=not flags & os.O_NOFOLLOW)
        if found:
            _require_plain(path, found)
        if error.errno == errno.ELOOP:
            raise _unfit(path, _("is a link in a circle")) from None
        raise
    try:
        _require_plain(path, os.fstat(descriptor))
    except NoPlainFile:
        os.close(descriptor)
        raise
    return descriptor


def _found(path: Path, follow: bool) -> os.stat_result | None:
    try:
        return os.stat(path, follow_symlinks=follow)
    except OSError:
        return None


def _require_plain(path: Path, found: os.stat_result) -> None:
    kinds = {
        stat.S_IFLNK: _("is a link"),
        stat.S_IFDIR: _("is a folder"),
        stat.S_IFIFO: _("is a named pipe"),
        stat.S_IFSOCK: _("is a socket"),
    }
    if not stat.S_ISREG(found.st_mode):
        raise _unfit(path, kinds.get(stat.S_IFMT(found.st_mode), _("is a device")))


def _unfit(path: Path, what: str) -> NoPlainFile:
    return NoPlainFile(path, what, _("take that away or put a plain file there"))


def _whole(file: BufferedReader, path: Path, most: int | None) -> bytes:
    if most is not None and os.fstat(file.fileno()).st_size > most:
        what = _("is larger than {most}").format(most=size(most))
        raise NoPlainFile(path, what, _("take it away or put the right file there"))
    return file.read()


def write_atomic(path: Path, content: str | bytes) -> None:
    """Replace `path` by `content` (text as UTF-8) in one step that survives a power cut.

    It goes to a temporary file beside `path`, is flushed to the disk and
    renamed over it; then the folder entry is flushed too. A link is replaced, not followed.

    Raises:
        NoPlainFile: a folder, a named pipe or the like has that name.
        OSError: it cannot be written.
    """
    found = _found(path, follow=False)
    if found and not stat.S_ISLNK(found.st_mode):
        _require_plain(path, found)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f"{PARTIAL}{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            with suppress(OSError):  # a file system without locks; see `clear_partial`
                fcntl.flock(file, fcntl.LOCK_EX)
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


def stamp_of(path: Path) -> tuple[int, int, int] | None:
    """Return what differs when the file at `path` was written again; None if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
