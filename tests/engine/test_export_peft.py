"""An adapter in PEFT's form: PEFT's own numbers, and ours again when it is read."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.backend import mx
from engine.export.exporter import Exporter
from engine.export.targets import ExportRequest
from engine.lora_targets import ALL_TARGETS
from engine.model.adapter import load_adapter
from engine.model.adapter_file import read_adapter
from engine.model.loading import load_base
from engine.model.mlx_lm_adapter import TEMPLATE_SETTINGS
from tests.support.export_models import KINDS, Kind, exporter_of, write_random_adapter

import numpy as np
import pytest

TOKENS = (5, 17, 2, 40, 9, 33, 128, 300)
PLAIN = {
    "llama": Kind(dtype=mx.float32, changes=KINDS["llama-bf16"].changes),
    "qwen2": Kind("qwen2", "qwen2", dtype=mx.float32),
    "qwen3": Kind("qwen3", "qwen2", dtype=mx.float32, changes=KINDS["qwen3"].changes),
}
"""Without rounding to 16 bits; torch cannot read MLX's 4-bit weights."""


def peft_of(exporter: Exporter) -> Path:
    return exporter.export(ExportRequest("peft", base_name="org/model")).folder


def logits(exporter: Exporter, adapter: Path | None) -> Any:
    """Return ours in float32."""
    model = load_base(exporter.base).model
    if adapter:
        load_adapter(model, adapter)
    model.eval()
    return np.array(model(mx.array(TOKENS)[None])[0].astype(mx.float32))


def peft_logits(base: Path, adapter: Path) -> Any:
    """Return those of torch and PEFT."""
    torch = pytest.importorskip("torch")
    peft = pytest.importorskip("peft")
    transformers = pytest.importorskip("transformers")
    model = transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model = peft.PeftModel.from_pretrained(model, str(adapter)).eval()
    with torch.no_grad():
        return model(torch.tensor([TOKENS])).logits[0].numpy()


@pytest.mark.slow
@pytest.mark.parametrize("name", PLAIN)
def test_peft_computes_what_was_trained(tmp_path: Path, name: str) -> None:
    """Real PEFT on real torch models, far from what the base model alone says."""
    exporter = exporter_of(tmp_path / "project", PLAIN[name])
    theirs = peft_logits(exporter.base, peft_of(exporter))
    assert np.abs(theirs - logits(exporter, exporter.adapter.folder)).max() < 1e-4
    assert np.abs(theirs - logits(exporter, None)).max() > 0.1


@pytest.mark.parametrize("name", ["llama-bf16", "mistral-first"])
def test_it_is_read_as_it_was_written(tmp_path: Path, name: str) -> None:
    """Matrix by matrix, bit by bit; and its score is that of training."""
    exporter = exporter_of(tmp_path / "project", KINDS[name])
    done = exporter.export(ExportRequest("peft", base_name="org/model"))
    read, ours = read_adapter(done.folder), exporter.adapter
    assert (read.form, read.base_model, read.rank, read.scale) == ("peft", "org/model", ours.rank, ours.scale)
    assert read.keys == ours.keys and read.weights.keys() == ours.weights.keys()
    assert all(bool(mx.array_equal(read.weights[key], ours.weights[key])) for key in ours.weights)
    assert done.gain and done.gain.difference == 0.0
    assert done.command.startswith("vllm serve org/model --enable-lora --max-lora-rank 8")


def test_settings_of_the_prompts_and_some_layers_go_with_it(tmp_path: Path) -> None:
    """What the last layers alone were trained on, a strength that is no whole number, and no thinking."""
    exporter = exporter_of(tmp_path / "project", KINDS["llama-bf16"])
    changes = {"lora_layers": 1, "lora_rank": 2, "lora_alpha": 3.5}
    folder = write_random_adapter(exporter.base, tmp_path / "another", **changes)
    path = folder / "adapter_config.json"
    said = json.loads(path.read_text()) | {TEMPLATE_SETTINGS: {"enable_thinking": False}}
    path.write_text(json.dumps(said))
    adapter = read_adapter(folder)
    made = peft_of(replace(exporter, adapter=adapter, scorer=replace(exporter.scorer, adapter=adapter)))
    config = json.loads((made / "adapter_config.json").read_text())
    assert config["layers_to_transform"] == [1] and config["layers_pattern"] == "layers"
    assert (config["r"], config["lora_alpha"]) == (2, 3.5)
    assert config["target_modules"] == sorted(ALL_TARGETS) and config["bias"] == "none"
    again = read_adapter(made)
    assert again.template_settings == adapter.template_settings == {"enable_thinking": False}
    assert again.config["num_layers"] == 1 and again.scale == adapter.scale
