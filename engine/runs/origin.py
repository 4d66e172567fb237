"""What a run rests on, as hashes: they say whether two runs had the same data, base model and template."""

import re
from contextlib import suppress
from dataclasses import dataclass

from engine.errors import UserError
from engine.project import Project
from engine.receipt.form import Receipt
from engine.training.checkpoint_folders import checkpoint_folders
from engine.training.checksums import read_state

_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Origin:
    """SHA-256 of what a run was made of; None where nothing tells it."""

    data: str | None = None
    """Of both data files."""
    train: str | None = None
    """Of `train.jsonl`; only a receipt has it."""
    valid: str | None = None
    """Of `valid.jsonl`; only a receipt has it."""
    base: str | None = None
    """Of the base model, see `engine.fingerprint.model_fingerprint`."""
    template: str | None = None
    """Of what turns rows into tokens."""


def origin_of(project: Project, receipt: Receipt | None) -> Origin:
    """Return what a run rests on: as its receipt says, or its newest checkpoint where it has none yet."""
    if receipt:
        files = receipt.data
        return Origin(files.both, files.train, files.valid, receipt.base.fingerprint, receipt.template)
    for folder in checkpoint_folders(project.run_dir):
        with suppress(OSError, UserError):
            prints = (read_state(folder) or {}).get("fingerprints")
            if isinstance(prints, dict):
                data, base, template = (_hash(prints.get(name)) for name in ("data", "model", "template"))
                return Origin(data=data, base=base, template=template)
    return Origin()


def _hash(value: object) -> str | None:
    return value if isinstance(value, str) and _SHA256.fullmatch(value) else None
