"""Which folders below `models/` hold a base model, and what else lies there in the place of one."""

from collections.abc import Iterator
from pathlib import Path

from engine.files import read_given

SOURCE_NAME = "source.json"
"""Name of the file in a model's folder that says where it came from; it is no part of the model."""
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
