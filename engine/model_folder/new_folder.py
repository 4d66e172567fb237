"""A new folder in `models/`, which appears whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import UserError, system_reason, write_fix
from engine.files import partial_folder, sync
from engine.i18n import _


@contextmanager
def new_model_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes `target` at the end, or vanishes if the block fails.

    Raises:
        UserError: `target` exists already, or cannot be written.
    """
    refuse_existing(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with partial_folder(target.parent, "model") as partial:
            folder = partial / "model"
            folder.mkdir()
            yield folder
            become(folder, target)
    except OSError as error:
        raise cannot_write(target, error) from None


def refuse_existing(target: Path) -> None:
    """Refuse a name that something has already.

    Raises:
        UserError: it has.
    """
    if os.path.lexists(target):
        raise UserError(_("{path} exists already").format(path=target), _("remove it or choose another name"))


def become(folder: Path, target: Path) -> None:
    """Let a finished folder be `target`, with all that is in it on the disk before.

    Raises:
        UserError: something has that name by now.
        OSError: it cannot be written.
    """
    for path in (*folder.rglob("*"), folder):
        if not path.is_symlink():
            sync(path)
    refuse_existing(target)
    folder.rename(target)
    sync(target.parent)


def cannot_write(path: Path, error: OSError) -> UserError:
    """Return the refusal of a folder or file that could not be written."""
    return UserError(
        _("Cannot write {path}: {reason}").format(path=path, reason=system_reason(error)), write_fix(error)
    )
