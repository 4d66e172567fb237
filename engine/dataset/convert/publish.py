"""Several files at once: all of them appear, whole, or none does."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path
from typing import TypeVar

from engine.errors import UserError, system_reason
from engine.files import partial_folder, remove, sync
from engine.i18n import _

T = TypeVar("T")
Write = Callable[[Path], T]
"""Writes files to a folder; what it returns is handed on."""


def publish(write: Write[T], beside: Path, name: str) -> tuple[Path, T]:
    """Let `write` fill a new folder, which has its name only once all is on the disk.

    Args:
        write: is given an empty folder that nobody else looks into.
        beside: folder in which the new one appears.
        name: of the new one; with a number from 2 where it is taken.

    Raises:
        UserError: it cannot be written; nothing is left behind then, nor after any other exception.
    """
    with _hidden(beside, name) as partial:
        made = write(partial)
        _sync_files(partial)
        folder = partial.rename(_free_name(beside, name))
        sync(beside)
    return folder, made


def publish_into(write: Write[T], folder: Path, last: str) -> T:
    """Let `write` make files that are moved into `folder` once all are on the disk.

    Args:
        write: as in `publish`; none of its files may be in `folder` already.
        folder: where they appear.
        last: name of the file that appears last: where it is, all are.

    Raises:
        UserError: as in `publish`.
    """
    with _hidden(folder, "files") as partial:
        made = write(partial)
        _sync_files(partial)
        placed: list[Path] = []
        try:
            for path in sorted(partial.iterdir(), key=lambda path: path.name == last):
                placed.append(_placed(path, folder))
            sync(folder)
        except BaseException:
            for path in placed:
                remove(path)
            raise
    return made


def _placed(path: Path, folder: Path) -> Path:
    """Move a file into a folder, but not over another."""
    if (folder / path.name).exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    return path.rename(folder / path.name)


@contextmanager
def _hidden(beside: Path, name: str) -> Iterator[Path]:
    """Make a folder for the time being; what cannot be written is told."""
    try:
        with partial_folder(beside, name) as partial:
            yield partial
    except OSError as error:
        raise UserError(
            _("Cannot write to {path}: {reason}").format(path=beside, reason=system_reason(error)),
            _("free some disk space or correct the folder's permissions"),
        ) from None


def _sync_files(folder: Path) -> None:
    for path in folder.iterdir():
        sync(path)
    sync(folder)


def _free_name(beside: Path, name: str) -> Path:
    names = chain([name], (f"{name}-{number}" for number in count(2)))
    return next(beside / free for free in names if not (beside / free).exists())
