"""A DoRA adapter in the forms of other programs: PEFT's formula, mlx-lm's fused matrices, or refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.backend import mx
from engine.errors import UserError
from engine.export.exporter import Exporter
from engine.export.merge import merged_rows
from engine.export.targets import ExportRequest
from engine.model.adapter import load_adapter
from engine.model.adapter_file import read_adapter
from engine.model.loading import load_base
from tests.support.export_models import KINDS, Kind, exporter_of

import numpy as np
import pytest
from mlx.utils import tree_flatten
from mlx_lm.tuner.utils import load_adapters
from mlx_lm.utils import load_model
from safetensors.numpy import load_file

CHANGES = {"fine_tune_type": "dora"}
PLAIN = Kind(dtype=mx.float32, changes=KINDS["llama-bf16"].changes)


def dora_exporter(root: Path, kind: Kind) -> Exporter:
    return exporter_of(root / "project", kind, **CHANGES)


def test_peft_has_the_same_numbers_under_its_names(tmp_path: Path) -> None:
    """By PEFT's formula in NumPy, from the exported file alone: what our layer computes."""
    exporter = dora_exporter(tmp_path, PLAIN)
    done = exporter.export(ExportRequest("peft", base_name="org/model"))
    config = json.loads((done.folder / "adapter_config.json").read_text())
    assert config["use_dora"] is True and done.command.startswith("python -c ")
    stored = load_file(done.folder / "adapter_model.safetensors")
    path = "model.layers.1.mlp.up_proj"
    theirs = {
        name.removeprefix(f"base_model.model.{path}."): array.astype(np.float64)
        for name, array in stored.items()
        if f".{path}." in name
    }
    assert set(theirs) == {"lora_A.weight", "lora_B.weight", "lora_magnitude_vector"}
    model = load_base(exporter.base).model
    weight = np.array(dict(tree_flatten(model.parameters()))[f"{path}.weight"], np.float64)
    load_adapter(model, exporter.adapter.folder)
    x = np.array(mx.random.normal((3, weight.shape[1]), key=mx.random.key(1)), np.float64)
    scaling = config["lora_alpha"] / config["r"]
    b, a = theirs["lora_B.weight"], theirs["lora_A.weight"]
    norm = np.linalg.norm(weight + scaling * b @ a, axis=1)
    mag_norm_scale, base_result = theirs["lora_magnitude_vector"] / norm, x @ weight.T
    extra = (mag_norm_scale - 1) * base_result + mag_norm_scale * (x @ a.T @ b.T) * scaling
    found = np.array(model.model.layers[1].mlp.up_proj(mx.array(x.astype(np.float32))))
    assert np.abs(found - (base_result + extra)).max() < 1e-5 * np.abs(found).max()
    again = read_adapter(done.folder)
    assert again.fine_tune_type == "dora" and again.weights.keys() == exporter.adapter.weights.keys()
    kept = exporter.adapter.weights
    assert all(bool(mx.array_equal(again.weights[key], kept[key])) for key in again.weights)


@pytest.mark.parametrize(
    "request_", [ExportRequest("mlx", 16), ExportRequest("mlx", 8), ExportRequest("gguf", 16),
                 ExportRequest("gguf", 8), ExportRequest("lmstudio", 8)], ids=lambda r: r.label,
)  # fmt: skip
def test_merged_forms_keep_what_was_trained(tmp_path: Path, request_: ExportRequest) -> None:
    """Read back and scored: nearly the loss of the adapter, far from that of the base model."""
    done = dora_exporter(tmp_path, KINDS["llama-4bit-untied"]).export(request_)
    gain = done.gain
    assert gain is not None and abs(gain.adapter - gain.base) > 0.1
    assert abs(gain.export - gain.adapter) < 0.05 * abs(gain.adapter - gain.base)


@pytest.mark.parametrize("target", ["gguf", "llama.cpp", "ollama"])
def test_gguf_holds_no_dora_adapter_of_its_own(tmp_path: Path, target: Any) -> None:
    """Refused before anything is written, with the way that works."""
    exporter = dora_exporter(tmp_path, KINDS["llama-4bit-untied"])
    with pytest.raises(UserError, match=r"llama\.cpp knows LoRA's alone; merge both"):
        exporter.export(ExportRequest(target))
    assert not exporter.project.exports_dir.exists()


def test_a_merged_matrix_is_mlx_lms_fused_one(tmp_path: Path) -> None:
    """Row by row, against its `fuse`."""
    exporter = dora_exporter(tmp_path, PLAIN)
    model = load_model(exporter.base)[0]
    path = "model.layers.0.self_attn.k_proj"
    rows = np.array(dict(tree_flatten(model.parameters()))[f"{path}.weight"])
    load_adapters(model, str(exporter.adapter.folder))
    fused = np.array(model.model.layers[0].self_attn.k_proj.fuse(dequantize=True).weight)
    found = merged_rows(rows, path, exporter.adapter)
    assert np.abs(found - fused).max() < 1e-5 * np.abs(fused).max()
    pairs = {name: array for name, array in exporter.adapter.weights.items() if not name.endswith(".m")}
    lora = replace(exporter.adapter, weights=pairs)
    assert np.abs(merged_rows(rows, path, lora) - fused).max() > 0.1 * np.abs(fused).max()
