"""Whether what is to be written has room on the disk."""

import shutil
from pathlib import Path

from engine.errors import UserError
from engine.files import PARTIAL
from engine.i18n import _
from engine.units import sizes_apart

_MARGIN = 64 << 20
"""Bytes of headers, tokenizer and the disk's rounding up."""


def require_space(folder: Path, needed: int) -> None:
    """Refuse to begin where the files do not fit.

    Args:
        folder: in which they are to be; it is there.
        needed: bytes.

    Raises:
        UserError: there is less.
    """
    free = shutil.disk_usage(folder).free
    if free < needed + _MARGIN:
        needs, has = sizes_apart(needed + _MARGIN, free)
        raise UserError(
            _("{needed} are needed in {path} and {free} are free").format(
                needed=needs, path=_seen(folder), free=has
            ),
            _("free some space, take fewer --bits, or name a folder on another disk with --out"),
        )


def _seen(folder: Path) -> Path:
    """Return the folder that people know: what is being written lies in a hidden one."""
    hidden = (path for path in folder.parents if path.name.startswith(PARTIAL))
    return next(hidden, folder / "_").parent
