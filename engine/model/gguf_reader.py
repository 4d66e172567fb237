"""Reading and checking the header of a GGUF file.

A GGUF file comes from anywhere, so every length, count, shape and offset is
held against the size of the file before it is used. What passes here is safe
to hand to MLX's own GGUF loader, which checks little.

Layout, all numbers little-endian: magic, version, two counts, the key/value
pairs, the tensor table, padding, the tensors' data.
"""

import math
import mmap
import struct
from pathlib import Path
from typing import Any

from engine.errors import UserError, system_reason
from engine.files import open_given
from engine.i18n import _, ngettext
from engine.model.gguf_header import GgufHeader, GgufTensor, refusal
from engine.sanitize import one_line

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_MAX_DIMENSIONS = 4
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
"""Value types of fixed size, as letters of `struct`."""
_TEXT, _ARRAY = 8, 9
_ALIGNMENT = 32
"""Bytes to which the start of the data is rounded up; files with another one are very rare."""
_MAX_COUNT = 2**24
"""Items of a list, bytes of a text: far above any real file, far below what fills the memory."""
_MAX_HEADER = 2**26
"""Bytes of everything before the data, some 20 million in real files.
Read, they take up to ten times as much memory."""

_BLOCKS = {
    "F32": (1, 4),
    "F16": (1, 2),
    "Q4_0": (32, 18),
    "Q4_1": (32, 20),
    "Q8_0": (32, 34),
    "Q6_K": (256, 210),
}
"""Tensor types that can be imported: values and bytes of one block."""
_TYPE_NAMES = {
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    6: "Q5_0",
    7: "Q5_1",
    8: "Q8_0",
    10: "Q2_K",
    11: "Q3_K",
    12: "Q4_K",
    13: "Q5_K",
    14: "Q6_K",
    20: "IQ4_NL",
    23: "IQ4_XS",
    30: "BF16",
    39: "MXFP4",
}


def read_header(path: Path) -> GgufHeader:
    """Read and check the header of the GGUF file `path`.

    Raises:
        UserError: the file cannot be read, is no GGUF file, or is damaged.
    """
    try:
        with open_given(path) as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise refusal(path, _("it is not a GGUF file"), _("name a model file that ends in .gguf"))
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _Parser(path, data).header()
    except OSError as error:
        raise refusal(path, system_reason(error), _("name an existing file that you may read")) from None


class _Parser:
    """Walks through the header once, from its first byte to its last."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self.path = path
        self.data = data
        self.position = len(_MAGIC)

    def header(self) -> GgufHeader:
        version = self.take("I")
        if version not in _VERSIONS:
            raise self.damaged(_("version {version} of the format is unknown").format(version=version))
        tensor_count, pair_count = self.take("Q"), self.take("Q")
        metadata = self.pairs(pair_count)
        tensors, end_of_data = self.table(tensor_count)
        if metadata.get("general.alignment", _ALIGNMENT) != _ALIGNMENT:
            raise self.damaged(_("the alignment of its data is not {n}").format(n=_ALIGNMENT))
        start = -(-self.position // _ALIGNMENT) * _ALIGNMENT
        if start + end_of_data > len(self.data):
            raise self.damaged(_("it is cut short"))
        return GgufHeader(self.path, metadata, tensors)

    def pairs(self, count: int) -> dict[str, Any]:
        self.check_count(count)
        metadata: dict[str, Any] = {}
        for _index in range(count):
            key = self.text()
            if key in metadata:
                raise self.damaged(_("it has {key} twice").format(key=one_line(key, 60)))
            metadata[key] = self.value(self.take("I"))
        return metadata

    def table(self, count: int) -> tuple[dict[str, GgufTensor], int]:
        """Return the tensors, and where the last one ends (bytes from the start of the data)."""
        self.check_count(count)
        tensors: dict[str, GgufTensor] = {}
        end = 0
        for _index in range(count):
            name = self.text()
            if name in tensors:
                raise self.damaged(_("it has tensor {name} twice").format(name=one_line(name, 60)))
            tensors[name] = tensor = self.tensor(name)
            end = max(end, self.take("Q") + self.size(name, tensor))
        return tensors, end

    def tensor(self, name: str) -> GgufTensor:
        dimensions = self.take("I")
        if not 1 <= dimensions <= _MAX_DIMENSIONS:
            raise self.damaged(
                ngettext(
                    "tensor {name} has {n} dimension", "tensor {name} has {n} dimensions", dimensions
                ).format(name=one_line(name, 60), n=dimensions)
            )
        shape = tuple(self.take("Q") for _dimension in range(dimensions))[::-1]
        code = self.take("I")
        return GgufTensor(_TYPE_NAMES.get(code, str(code)), shape)

    def size(self, name: str, tensor: GgufTensor) -> int:
        """Return the bytes of `tensor`; of a type that cannot be imported, 0."""
        values, block_bytes = _BLOCKS.get(tensor.kind, (1, 0))
        if 0 in tensor.shape or tensor.shape[-1] % values:
            raise self.damaged(_("tensor {name} has an odd shape").format(name=one_line(name, 60)))
        return math.prod(tensor.shape) // values * block_bytes

    def value(self, kind: int) -> Any:
        if kind == _TEXT:
            return self.text()
        if kind == _ARRAY:
            return self.array(self.take("I"), self.take("Q"))
        return self.take(self.letter(kind))

    def array(self, kind: int, count: int) -> tuple[Any, ...]:
        self.check_count(count)
        if kind == _TEXT:
            return tuple(self.text() for _index in range(count))
        return self.numbers(f"{count}{self.letter(kind)}")

    def letter(self, kind: int) -> str:
        if kind not in _NUMBERS:
            raise self.damaged(_("it holds a value of unknown type {kind}").format(kind=kind))
        return _NUMBERS[kind]

    def text(self) -> str:
        length = self.take("Q")
        self.check_count(length)
        begin = self.advance(length)
        try:
            return self.data[begin : self.position].decode("utf-8")
        except UnicodeDecodeError:
            raise self.damaged(_("it holds a text that is not UTF-8")) from None

    def take(self, letter: str) -> Any:
        return self.numbers(letter)[0]

    def numbers(self, letters: str) -> tuple[Any, ...]:
        layout = struct.Struct("<" + letters)
        begin = self.advance(layout.size)
        try:
            return layout.unpack_from(self.data, begin)
        except struct.error:
            raise self.damaged(_("it is cut short")) from None

    def advance(self, count: int) -> int:
        """Go on by `count` bytes and return where they begin."""
        begin = self.position
        self.position += count
        if self.position > _MAX_HEADER:
            raise self.damaged(_("its header is too long"))
        return begin

    def check_count(self, count: int) -> None:
        """Refuse a count of things (each at least a byte long) that the rest cannot hold."""
        if count > min(len(self.data) - self.position, _MAX_COUNT):
            raise self.damaged(_("it is cut short"))

    def damaged(self, reason: str) -> UserError:
        return refusal(self.path, reason)
