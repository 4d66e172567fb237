"""GGUF files and fused models: llama.cpp, MLX and `gguf` give the log-probabilities of training."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.export.exporter import Exporter
from engine.export.gguf_architecture import Architecture
from engine.export.gguf_export import MODEL_FILE, in_gguf
from engine.export.read_back import q4_1_difference
from engine.export.score import KeptGain
from engine.export.targets import Bits, ExportRequest, Target
from tests.support.export_models import KINDS, Kind, exporter_of

import pytest
from gguf import GGUFReader, GGUFValueType, GGUFWriter

CLOSE = 0.05
"""Largest difference of a token's log-probability where both sides multiply with 16 bits or more."""
ROUNDED_INPUTS = 0.2
"""The same where llama.cpp rounds what it multiplies with 4 or 8 bits to 8 bits, which differs from one
kind of processor to another (0.037 and 0.051 were seen for the same file)."""
ALL_TOKENS = 0.01
"""Largest difference of the mean over all tokens, where such roundings cancel out."""
FORMS: tuple[tuple[Target, Bits | None, float, float], ...] = (
    ("gguf", None, ROUNDED_INPUTS, ALL_TOKENS),
    ("gguf", 16, CLOSE, ALL_TOKENS),
    ("gguf", 8, ROUNDED_INPUTS, 0.05),
    ("gguf", 4, 1.5, 0.3),
    ("mlx", 16, CLOSE, ALL_TOKENS),
    ("mlx", 8, 0.2, 0.05),
    ("mlx", 6, 0.5, 0.1),
    ("mlx", 4, 1.5, 0.3),
)


def gain_of(exporter: Exporter, target: Target, bits: Bits | None = None) -> KeptGain:
    """Export one form and return its scores."""
    gain = exporter.export(ExportRequest(target, bits)).gain
    assert gain
    return gain


@pytest.fixture
def without_llama_cpp(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine without the extra."""
    monkeypatch.setattr("engine.export.llama_cpp.is_installed", lambda: False)


@pytest.fixture(autouse=True)
def every_export_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """What random adapters gain, or lose, says nothing."""
    monkeypatch.setattr("engine.export.score.LEAST", -1e9)


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_each_form_gives_the_scores_of_training(tmp_path: Path, name: str) -> None:
    """Base with adapter and 16 bits to the rounding of 16 bits; fewer bits near it, by llama.cpp itself."""
    pytest.importorskip("xllamacpp")
    exporter = exporter_of(tmp_path / "project", KINDS[name])
    for target, bits, most, most_on_average in FORMS:
        gain = gain_of(exporter, target, bits)
        assert gain.by == ("llama.cpp" if target == "gguf" else "MLX")
        assert gain.tokens >= 32 and abs(gain.base - gain.adapter) > 0.001
        assert gain.difference < most, (target, bits, gain)
        assert abs(gain.export - gain.adapter) < most_on_average, (target, bits, gain)


@pytest.mark.slow
@pytest.mark.usefixtures("without_llama_cpp")
@pytest.mark.parametrize("name", KINDS)
def test_files_read_through_gguf_give_the_same(tmp_path: Path, name: str) -> None:
    """Without llama.cpp the files are read again by the `gguf` library; here nothing is rounded to 8 bits."""
    exporter = exporter_of(tmp_path / "project", KINDS[name])
    forms: tuple[tuple[Bits | None, float], ...] = ((None, 0.01), (16, 0.01), (8, 0.2), (4, 1.5))
    for bits, most in forms:
        gain = gain_of(exporter, "gguf", bits)
        assert gain.by == "gguf" and gain.difference < most, (bits, gain)


@pytest.mark.parametrize("name", ["llama-4bit-untied", "mistral-first", "qwen3"])
def test_four_bit_weights_are_in_the_file_to_the_bit(
    tmp_path: Path, without_llama_cpp: None, name: str
) -> None:
    """Of a whole model, matrix by matrix; nothing of it is told to be rounded."""
    exporter = exporter_of(tmp_path / "project", KINDS[name])
    done = exporter.export(ExportRequest("gguf"))
    assert done.notes == ()
    assert q4_1_difference(exporter.base, in_gguf(exporter.base)[0], done.folder / MODEL_FILE) == 0.0
    kinds = {tensor.tensor_type.name for tensor in GGUFReader(done.folder / MODEL_FILE).tensors}
    assert kinds == {"Q4_1", "F32"}


@pytest.mark.parametrize("bits", [6, 8])
def test_other_quantisations_are_written_out_in_16_bits(
    tmp_path: Path, without_llama_cpp: None, bits: int
) -> None:
    """GGUF has no blocks that hold them exactly, which is told; the scores stay."""
    exporter = exporter_of(tmp_path / "project", Kind(group_size=64, bits=bits))
    done = exporter.export(ExportRequest("gguf"))
    assert done.notes == ("15 matrices of another quantisation are written out in 16 bits",)
    assert done.gain and done.gain.difference < 0.01
    kinds = {tensor.tensor_type.name for tensor in GGUFReader(done.folder / MODEL_FILE).tensors}
    assert kinds == {"F16", "F32"}


def rows_as_they_are(_architecture: Architecture, rows: Any, _module: str) -> Any:
    return rows


def alpha_zero(writer: GGUFWriter, key: str, value: float) -> None:
    writer.add_key_value(key, 0.0 if key == "adapter.lora.alpha" else value, GGUFValueType.FLOAT32)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("patched", "wrong", "bits"),
    [
        ("engine.export.gguf_architecture.Architecture.permuted", rows_as_they_are, None),
        ("engine.export.gguf_architecture.Architecture.permuted", rows_as_they_are, 16),
        ("gguf.GGUFWriter.add_float32", alpha_zero, None),
    ],
    ids=["rows of the base", "rows of both merged", "alpha"],
)
def test_a_wrong_file_is_seen(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    patched: str,
    wrong: Callable[..., Any],
    bits: Bits | None,
) -> None:
    """Rows of queries and keys in MLX's order, or an adapter of strength 1, are far from training."""
    pytest.importorskip("xllamacpp")
    exporter = exporter_of(tmp_path / "project", KINDS["llama-bf16"])
    monkeypatch.setattr(patched, wrong)
    assert gain_of(exporter, "gguf", bits).difference > 2 * CLOSE


@pytest.mark.slow
def test_unpermuted_rows_of_the_adapter_alone_are_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The base is right then, and its replies read well."""
    pytest.importorskip("xllamacpp")
    exporter = exporter_of(tmp_path / "project", KINDS["llama-bf16"])
    permuted = Architecture.permuted

    def wrong(architecture: Architecture, rows: Any, module: str) -> Any:
        return rows if rows.shape[-1] == exporter.adapter.rank else permuted(architecture, rows, module)

    monkeypatch.setattr(Architecture, "permuted", wrong)
    assert gain_of(exporter, "gguf").difference > 2 * CLOSE
