"""Writing a GGUF file tensor by tensor, through the `gguf` library, so that no model is held whole."""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from engine.files import sync

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFWriter
from numpy.typing import NDArray

Kind = GGMLQuantizationType
OnBytes = Callable[[int], None]
"""Called with how many bytes are written so far."""


@dataclass(frozen=True)
class Tensor:
    """A tensor of a file, made when its turn comes."""

    name: str
    """llama.cpp's."""
    shape: tuple[int, ...]
    """Rows first, as NumPy has it."""
    kind: Kind
    make: Callable[[], NDArray[Any]]
    """Returns its bytes, whatever the dtype of the array."""

    @property
    def nbytes(self) -> int:
        """Bytes in the file."""
        block, size = GGML_QUANT_SIZES[self.kind]
        return math.prod(self.shape) // block * size


class _Written(np.ndarray[Any, Any]):
    """An array whose write says why it failed, which NumPy's own `tofile` does not."""

    def tofile(self, file: IO[bytes], *_rest: Any) -> None:  # type: ignore[override]
        """Write the bytes of the array."""
        file.write(self.data)


def write_gguf(
    path: Path,
    architecture: str,
    describe: Callable[[GGUFWriter], None],
    tensors: list[Tensor],
    on_bytes: OnBytes = lambda count: None,
) -> None:
    """Write a file; `tensors` is empty afterwards, and each has been made and let go in turn.

    Args:
        path: of the new file.
        architecture: llama.cpp's name of it.
        describe: writes the fields of the header.
        tensors: in the order in which they are to lie.
        on_bytes: called after each tensor.

    Raises:
        OSError: the file cannot be written.
    """
    logging.getLogger("gguf").setLevel(logging.ERROR)
    writer = GGUFWriter(path, architecture)
    try:
        describe(writer)
        for tensor in tensors:
            # The dtype is only looked at where no kind is given, or for shapes in bytes.
            writer.add_tensor_info(
                tensor.name, tensor.shape, np.dtype(np.float32), tensor.nbytes, raw_dtype=tensor.kind
            )
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        done = 0
        while tensors:
            tensor = tensors.pop(0)
            writer.write_tensor_data(np.ascontiguousarray(tensor.make()).view(_Written))
            done += tensor.nbytes
            on_bytes(done)
    finally:
        writer.close()
    sync(path)
