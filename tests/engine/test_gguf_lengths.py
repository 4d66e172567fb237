"""GGUF files whose counts and lengths lie: a refusal, and no memory for what they promise."""

import struct
import tracemalloc
from pathlib import Path

from tests.support.gguf_files import refused

import pytest


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def header(tensors: int = 0, pairs: int = 0, rest: bytes = b"") -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, pairs) + rest


def tensor(*shape: int, kind: int = 0, offset: int = 0) -> bytes:
    sizes = struct.pack(f"<{len(shape)}Q", *shape)
    return (
        text("token_embd.weight") + struct.pack("<I", len(shape)) + sizes + struct.pack("<IQ", kind, offset)
    )


@pytest.mark.parametrize(
    "content",
    [
        header(tensors=2**63),
        header(pairs=2**64 - 1),
        header(pairs=2**24, rest=text("a") + struct.pack("<IQQ", 9, 8, 2**24)),
        header(pairs=1, rest=struct.pack("<Q", 2**64 - 1)),
        header(pairs=1, rest=text("a") + struct.pack("<IQ", 8, 2**63)),
        header(pairs=1, rest=text("a") + struct.pack("<IIQ", 9, 10, 2**62)),
        header(pairs=1, rest=text("a") + struct.pack("<IIQ", 9, 10, 2**24)),
        header(pairs=1, rest=text("a") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 50_000),
        header(pairs=1, rest=text("a") + struct.pack("<I", 2**32 - 1)),
        header(pairs=2, rest=(text("a") + struct.pack("<IB", 0, 0)) * 2),
        header(tensors=1, rest=tensor(2**63, 2**63, 2**63, 2**63)),
        header(tensors=1, rest=tensor(32, 32, offset=2**64 - 1)),
        header(tensors=1, rest=tensor(*[32] * 5)),
        header(tensors=1, rest=tensor(0, 32)),
        header(tensors=1, rest=tensor()),
        header(tensors=1, rest=tensor(32, 32, kind=2**31)),
    ],
)
@pytest.mark.parametrize("room", [0, 2**28])
def test_lengths_that_lie_cost_no_memory(tmp_path: Path, content: bytes, room: int) -> None:
    """Counts, lengths, shapes, offsets and nesting beyond reason, also where the file seems to be large."""
    source = tmp_path / "odd.gguf"
    with source.open("wb") as file:
        file.write(content)
        file.truncate(max(len(content), room))
    tracemalloc.start()
    refused(source, "odd.gguf")
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**25


def test_a_header_without_end_is_refused(tmp_path: Path) -> None:
    """Reading stops at 64 MiB of it, far above any real file."""
    source = tmp_path / "long.gguf"
    pair = text("k") + struct.pack("<IIQ", 9, 0, 2**24) + bytes(2**24)
    pairs = [pair.replace(b"k", bytes([65 + number]), 1) for number in range(5)]
    source.write_bytes(header(pairs=5, rest=b"".join(pairs)))
    refused(source, "header is too long")
