"""Checksums of checkpoints: what tells a damaged one."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from engine.files import NoPlainFile, read_own
from engine.fingerprint import file_sha256
from engine.format import KEY, is_later, is_unknown, other_version

STATE = "state.json"
"""File of a checkpoint that lists the others, and says where the run stood."""
_SUM = "sha256"
_FIELDS = frozenset(
    (KEY, "run", "step", "epoch", "progress", "rng", "config", "plan", "fingerprints", "versions", "files")
)
"""Of `state.json`, its own checksum aside."""
_GONE = (FileNotFoundError, NotADirectoryError, NoPlainFile)


def sealed(state: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a `state.json` with its own checksum."""
    return {**state, _SUM: _json_sha256(state)}


def read_state(folder: Path) -> dict[str, Any] | None:
    """Return the content of a checkpoint's `state.json`; None if it is damaged or missing.

    A later version may work checksums out in another way: its number is looked at first.

    Raises:
        OSError: it cannot be read now.
        UserError: a later version wrote it.
    """
    try:
        state = json.loads(read_own(folder / STATE))
    except (*_GONE, ValueError, RecursionError):
        return None
    if not isinstance(state, dict):
        return None
    if is_later(state):
        raise other_version(folder)
    return state if state.pop(_SUM, None) == _json_sha256(state) else None


def require_known(folder: Path, state: dict[str, Any]) -> None:
    """Refuse what `read_state` found if this version does not know all of it.

    Raises:
        UserError: another version wrote it.
    """
    if is_unknown(state) or state.keys() - _FIELDS:
        raise other_version(folder)


def sums_of(folder: Path, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return size and SHA-256 of files of a checkpoint.

    Raises:
        OSError: one cannot be read.
    """
    paths = {name: folder / name for name in names}
    return {name: {"size": path.stat().st_size, "sha256": file_sha256(path)} for name, path in paths.items()}


def is_whole(folder: Path, sums: dict[str, dict[str, Any]]) -> bool:
    """Whether a checkpoint's files are as `sums_of` found them.

    Raises:
        OSError: one cannot be read now.
    """
    try:
        return all(
            (folder / name).stat().st_size == expected["size"]
            and file_sha256(folder / name) == expected["sha256"]
            for name, expected in sums.items()
        )
    except _GONE:
        return False


def _json_sha256(value: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
