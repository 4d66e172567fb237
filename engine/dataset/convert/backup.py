"""What a change of the data files took away: a folder of copies with a record; which is the newest."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from engine.errors import UserError
from engine.files import open_given, read_own, write_atomic
from engine.fingerprint import given_sha256
from engine.i18n import _

import msgspec

RECORD = "backup.json"
"""Name of the record in a backup's folder."""
_FORMAT = 1
_FOLDER = re.compile(r"backup-([1-9]\d{0,8})")
_PART = 1 << 20
"""Bytes that are copied at once."""
_MOST_RECORD = 1 << 16


class FileChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What became of one data file, as SHA-256 of its bytes; None stands for no file."""

    before: str | None
    after: str | None


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: int
    files: dict[str, FileChange]
    """By file name."""


def newest_backup(data: Path) -> Path | None:
    """Return the folder in `data` of the change that can be taken back next; None where there is none."""
    found = {number: path for path, number in _numbered(data) if path.is_dir() and not path.is_symlink()}
    return found[max(found)] if found else None


def next_name(data: Path) -> str:
    """Return a name with a higher number than any there, so that the order of changes is known."""
    return f"backup-{max((number for _path, number in _numbered(data)), default=0) + 1}"


def copy_file(source: Path, target: Path) -> None:
    """Copy a file that people put there.

    Raises:
        OSError: it cannot be read, or the copy not be written.
    """
    with open_given(source) as original, target.open("wb") as copy:
        shutil.copyfileobj(original, copy, _PART)


def sha256_of(path: Path) -> str | None:
    """Return the SHA-256 of a data file; None where there is none.

    Raises:
        OSError: it cannot be read.
    """
    try:
        return given_sha256(path)
    except FileNotFoundError:
        return None


def write_record(folder: Path, changes: Mapping[str, FileChange]) -> None:
    """Write down what became of the files of which a backup's folder has copies."""
    write_atomic(folder / RECORD, msgspec.json.encode(_Record(_FORMAT, dict(changes))))


def read_record(folder: Path) -> dict[str, FileChange]:
    """Return what became of the files, by name, once the copies are known to be what they were.

    Raises:
        UserError: the record or a copy is not what was written.
    """
    try:
        record = msgspec.json.decode(read_own(folder / RECORD, _MOST_RECORD), type=_Record)
        is_whole = record.format == _FORMAT and all(
            change.before is None or sha256_of(folder / Path(name).name) == change.before
            for name, change in record.files.items()
        )
    except (OSError, msgspec.MsgspecError):
        is_whole = False
    if not is_whole:
        problem = _("The backup in {folder} is damaged").format(folder=folder)
        raise UserError(problem, _("take what you need out of it by hand, then move it away"))
    return record.files


def _numbered(data: Path) -> list[tuple[Path, int]]:
    found = ((path, _FOLDER.fullmatch(path.name)) for path in data.glob("backup-*"))
    return [(path, int(match[1])) for path, match in found if match]
