"""The receipt of an export: what was written, from which adapter, and what each format loses."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from engine.files import read_own, write_json
from engine.fingerprint import file_sha256
from engine.receipt.form import FILE, FORMAT, Receipt


def export_receipt(
    folder: Path, files: Iterable[Path], losses: Mapping[str, float | None], run: Receipt | None
) -> Path:
    """Write `receipt.json` beside exported files and return its path.

    Args:
        folder: of the export; not that of a run, whose receipt has the same name.
        files: that were exported, in it.
        losses: validation loss by format, such as {"adapter": 1.31, "4-bit": 1.35}, in nats per trained
            token; None where it was not finite or not measured.
        run: whose adapter was exported; None where that has no receipt.

    Raises:
        OSError: a file cannot be read, or this one not be written.
    """
    value = {
        "format": FORMAT,
        "files": {str(path.relative_to(folder)): file_sha256(path) for path in files},
        "losses": dict(losses),
        "run": run.model_dump(mode="json") if run else None,
    }
    write_json(folder / FILE, value)
    return folder / FILE


def is_export(folder: Path) -> bool:
    """Whether a folder is an export: its receipt, every file as it was written, nothing beside them."""
    try:
        receipt = json.loads(read_own(folder / FILE))
        below = list(folder.rglob("*"))
        if folder.is_symlink() or any(path.is_symlink() for path in below):
            return False
        files = {str(path.relative_to(folder)): path for path in below if not path.is_dir()}
        del files[FILE]
        found = {name: file_sha256(path) for name, path in files.items()}
        return bool(receipt["format"] == FORMAT and receipt["files"] == found and "losses" in receipt)
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return False
