"""Copies of adapters for the time of an evaluation: a run that goes on replaces them and takes them away."""

import shutil
from pathlib import Path

from engine.evaluation.request import CONFIG, Chosen, digest_of
from engine.project import ADAPTER_FILES


class AdapterChanged(Exception):
    """An adapter is another one than when it was chosen, or is not there any more."""


def copied(chosen: Chosen, folder: Path) -> dict[Path, Path]:
    """Copy the adapters of an evaluation, and see that they are those that were chosen.

    Args:
        chosen: what is evaluated.
        folder: an empty folder for the copies.

    Returns:
        The copy of each adapter's folder.

    Raises:
        AdapterChanged: one of them is not what it was.
        OSError: there is no room for a copy.
    """
    copies: dict[Path, Path] = {}
    for number, variant in enumerate(chosen.variants):
        if variant.folder is None:
            continue
        copy = folder / str(number)
        copy.mkdir()
        names = [name for name in ADAPTER_FILES if (variant.folder / name).is_file()][:1]
        try:
            for name in (*names, CONFIG):
                shutil.copyfile(variant.folder / name, copy / name)
        except FileNotFoundError:
            raise AdapterChanged from None
        if not names or digest_of(copy) != variant.digest:
            raise AdapterChanged
        copies[variant.folder] = copy
    return copies
