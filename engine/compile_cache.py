"""Repairs the folder where MLX keeps functions that it compiled for a Linux CPU.

`mx.compile` writes them as shared libraries below the folder for temporary
files and loads them again later. One that was cut short, by a full disk or a
kill, ends every later process with SIGBUS when it is loaded: it is removed,
and MLX compiles the function anew.
"""

import contextlib
import os
import struct
import sys
import time
from pathlib import Path

_BEING_WRITTEN_S = 10.0
"""Another process may be compiling right now: a younger file is left alone, seconds."""
_ELF64 = struct.Struct("<16x2HI3QI6H")
"""An ELF file header of 64 bits, little endian, after its identification (System V ABI)."""


def repair_compile_cache() -> None:
    """Delete every compiled function that is not whole; what cannot be deleted stays."""
    if sys.platform != "linux":
        return
    # Where `std::filesystem::temp_directory_path` looks.
    folders = (os.environ.get(name) for name in ("TMPDIR", "TMP", "TEMP", "TEMPDIR"))
    for library in Path(next(filter(None, folders), "/tmp"), "mlx").glob("*/cpu/lib*.so"):
        with contextlib.suppress(OSError):
            if not is_whole(library) and time.time() - library.stat().st_mtime > _BEING_WRITTEN_S:
                library.unlink()


def is_whole(library: Path) -> bool:
    """Whether an ELF file reaches as far as its header says: to the end of its table of sections.

    Raises:
        OSError: it cannot be read.
    """
    with library.open("rb") as file:
        header = file.read(_ELF64.size)
        size = os.fstat(file.fileno()).st_size
    if len(header) < _ELF64.size or not header.startswith(b"\x7fELF"):
        return False
    *_rest, sections, _flags, _size, _p_size, _p_count, entry_size, count, _names = _ELF64.unpack(header)
    return bool(size >= sections + entry_size * count)
