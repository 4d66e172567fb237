"""Which folders below `models/` hold a base model, and what else lies there in the place of one."""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from engine.errors import UserError
from engine.files import read_given
from engine.i18n import _
from engine.sanitize import one_line

SOURCE_NAME = "source.json"
"""Name of the file in a model's folder that says where it came from; it is no part of the model."""
BUILT_IN = "smollm2-135m-instruct-4bit"
"""Name of the folder of the built-in model."""
_CONFIG = "config.json"
_CACHED = "models--*"
"""How Hugging Face's cache calls the folder of a model."""
_SNAPSHOTS = "snapshots"
_HIDDEN = "."
"""How the name of a folder begins that is not whole, see `engine.files`, or no concern of ours."""


def find_models(root: Path) -> dict[str, Path]:
    """Return the folders with a base model by their names, which are paths below `root`.

    A folder may be copied out of Hugging Face's cache as it is: its name stands for the snapshot in it.

    Args:
        root: the project's `models/`.
    """
    found = {path.parent.relative_to(root).as_posix(): path.parent for path in root.glob(f"*/{_CONFIG}")}
    for path in root.glob(f"*/*/{_CONFIG}"):  # as ORGANISATION/MODEL
        above = path.parents[1].name
        if above not in found and not above.startswith(_CACHED.rstrip("*")):
            found[path.parent.relative_to(root).as_posix()] = path.parent
    for folder in (*root.glob(_CACHED), *root.glob(f"*/{_CACHED}")):
        if found_snapshot := snapshot(folder):
            found[folder.relative_to(root).as_posix()] = found_snapshot
    return {name: found[name] for name in sorted(found) if not name.startswith(_HIDDEN)}


def label(folder: Path) -> str:
    """Return what a model folder is called: a snapshot of the cache by its model and not by its number."""
    return folder.parents[1].name if folder.parent.name == _SNAPSHOTS else folder.name


def misplaced(root: Path) -> Iterator[str]:
    """Yield what lies below `root` and is no base model that can be trained, as paths.

    That are GGUF files without a model beside them.

    Args:
        root: the project's `models/`.
    """
    for path in sorted((*root.glob("*.gguf"), *root.glob("*/*.gguf"))):
        if not (path.parent / _CONFIG).exists() or path.parent == root:
            yield path.relative_to(root).as_posix()


def without_config(root: Path) -> Iterator[Path]:
    """Yield the folders below `root` that hold weights and no configuration, without which they are no model.

    Args:
        root: the project's `models/`.
    """
    for folder in sorted(
        {path.parent for path in (*root.glob("*/*.safetensors"), *root.glob("*/*/*.safetensors"))}
    ):
        name = folder.relative_to(root).as_posix()
        if not name.startswith((_HIDDEN, _CACHED.rstrip("*"))) and not (folder / _CONFIG).exists():
            yield folder


def linked_to_nothing(root: Path) -> Iterator[Path]:
    """Yield the folders below `root` whose configuration is a link to a file that is gone."""
    for folder in sorted(root.glob("*/")):
        config = folder / _CONFIG
        if config.is_symlink() and not config.exists():
            yield folder


def snapshot(folder: Path) -> Path | None:
    """Return the snapshot of a model in Hugging Face's cache: the one it points to, else the newest."""
    snapshots = [path.parent for path in (folder / _SNAPSHOTS).glob(f"*/{_CONFIG}")]
    try:
        main = folder / _SNAPSHOTS / read_given(folder / "refs" / "main")[:64].decode().strip()
    except (OSError, UnicodeError):
        main = folder
    if main in snapshots:
        return main
    return max(snapshots, key=lambda path: path.stat().st_mtime, default=None)


def no_model(root: Path, name: str) -> UserError:
    """Return what to say where the base model `name`, or any if it is empty, is not in a `models/`."""
    if other := next(misplaced(root), ""):
        return UserError(
            _("{file} in {folder} is a GGUF file, from which nothing can be trained").format(
                file=one_line(other, 80), folder=root
            ),
            _("bring the model in it in with: mqlora-tui get {file}").format(
                file=shlex.quote(os.fspath(root / other))
            ),
        )
    if (root / _CONFIG).exists():
        return UserError(
            _("The files of a base model lie in {folder} itself").format(folder=root),
            _("move them into a folder of their own there, such as models/mistral-7b"),
        )
    for folder in without_config(root):
        if name in ("", folder.relative_to(root).as_posix()):
            return UserError(
                _("{folder} has no config.json, so it is no base model").format(folder=folder),
                _("copy that file there, or write the built-in model with: mqlora-tui demo"),
            )
    problem = _("No base model '{name}' in {folder}") if name else _("No base model in {folder}")
    return UserError(
        problem.format(name=name, folder=root),
        _("choose one with mqlora-tui get, or write the built-in one: mqlora-tui demo"),
    )
