"""Writing arrays as safetensors, so that a failed write says why."""

from collections.abc import Mapping
from pathlib import Path

from engine.backend import mx
from engine.files import flush, open_own, remove

from safetensors import SafetensorError, safe_open

_WRITER = {"writer": "mqlora-tui"}
"""Stands among the metadata of every file that this program writes."""


def write_arrays(path: Path, arrays: Mapping[str, mx.array], form: str = "mlx") -> None:
    """Write a safetensors file and flush it to the disk.

    MLX writes through a Python file: by itself it does not tell a full disk
    from one that may not be written. The arrays are sorted, because their
    order in the file follows that of the mapping. Half a file is not left behind.

    Args:
        path: of the file.
        arrays: by their name.
        form: which library's arrays they are, as readers ask for it: "mlx", or "pt" for PyTorch's.

    Raises:
        OSError: the disk is full or the file cannot be written.
    """
    try:
        with open_own(path, "wb") as file:
            mx.save_safetensors(file, dict(sorted(arrays.items())), {"format": form, **_WRITER})
            file.flush()
            flush(file.fileno())
    except BaseException:
        remove(path)
        raise


def is_written_here(path: Path) -> bool:
    """Whether a safetensors file was written by this program, `write_arrays`."""
    try:
        open_own(path).close()
        with safe_open(path, framework="numpy") as file:
            return _WRITER.items() <= (file.metadata() or {}).items()
    except (OSError, SafetensorError):
        return False
