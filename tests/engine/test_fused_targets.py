"""Fused projections, as Phi-3 has them: trained as mlx-lm's own layers are, and exported or refused."""

import json
from pathlib import Path
from typing import Any

from engine.backend import mx
from engine.errors import UserError
from engine.export.exporter import Exporter
from engine.export.targets import ExportRequest, Target
from engine.lora_targets import ALL_TARGETS, DEFAULT_TARGETS, fused_instead
from engine.model.adapter import adapter_weights, load_adapter
from engine.model.loading import load_base
from engine.project import Project
from engine.training.events import Notice
from engine.training.notices import left_without
from tests.campaigns.common import outcome
from tests.support.architectures import assert_same, build, found, made_fast, plain_loss
from tests.support.export_models import Kind, exporter_of, write_kind
from tests.support.moments import step_done
from tests.support.tiny import RUN, pairs, train, write_rows

import numpy as np
import pytest
from safetensors.numpy import load_file

TARGETS = ("qkv_proj", "gate_up_proj", "o_proj", "down_proj")
PHI3 = Kind("phi3", "smollm", dtype=mx.float32)
PACKED = Kind("phi3", "smollm", group_size=32)
FUSED_RUN = RUN.updated({"lora_targets": TARGETS, "num_epochs": 1, "learning_rate": 1e-3})


@pytest.fixture
def phi3(tmp_path: Path) -> Project:
    project = Project(tmp_path / "project")
    write_kind(project.models_dir / "tiny", PACKED)
    write_rows(project.train_file, pairs(10))
    write_rows(project.valid_file, pairs(3, start=100))
    return project


def test_gradients_are_those_of_mlx_lm() -> None:
    """Of all four projections of each layer, through our layers and mlx-lm's."""
    run = {"lora_targets": TARGETS}
    theirs = found(build("phi3", run=run), plain_loss)
    model = build("phi3", run=run)
    assert {name.split(".")[-2] for name in adapter_weights(model)} == set(TARGETS)
    assert_same(found(model, made_fast(model, "packed")), theirs)


def test_they_are_trained_and_resumed_exactly(phi3: Project) -> None:
    """Every factor moves, and a pause changes no byte."""
    train(phi3, FUSED_RUN, "restart")
    whole = outcome(phi3)
    weights = load_file(phi3.adapter_file)
    assert {name.split(".")[-2] for name in weights} == set(TARGETS)
    assert all(np.abs(array).max() > 0 for name, array in weights.items() if name.endswith("lora_b"))
    train(phi3, FUSED_RUN, "restart", until=step_done(2))
    train(phi3, None, "resume")
    assert outcome(phi3) == whole


def test_what_gets_no_adapter_by_default_is_said(phi3: Project) -> None:
    """With the setting that trains it, which is then said no more."""
    events = train(phi3, FUSED_RUN.updated({"lora_targets": DEFAULT_TARGETS, "max_steps": 1}))
    (said,) = [e.message for e in events if isinstance(e, Notice) and "qkv_proj" in e.message]
    setting = said.partition("lora_targets=")[2]
    assert FUSED_RUN.updated({"lora_targets": setting}).lora_targets == TARGETS
    events = train(phi3, FUSED_RUN.updated({"max_steps": 1}), "restart")
    assert not [e for e in events if isinstance(e, Notice) and "qkv_proj" in e.message]


def test_a_model_without_them_names_what_it_has(phi3: Project) -> None:
    """In the place of what was asked for."""
    with pytest.raises(UserError, match="named q_proj") as refused:
        train(phi3, FUSED_RUN.updated({"lora_targets": "q_proj"}))
    assert refused.value.fix.endswith("o_proj, down_proj, qkv_proj, gate_up_proj")


@pytest.mark.parametrize(
    ("wanted", "there", "said"),
    [
        (("q_proj", "qkv_proj"), ("q_proj",), ["This model has no qkv_proj: "]),
        (
            ("q_proj", "gate_proj", "o_proj"),
            ("qkv_proj", "o_proj"),
            ["in the place of q_proj", "no gate_proj: "],
        ),
        (("q_proj",), ("q_proj", "k_proj"), []),
    ],
)
def test_what_a_model_does_not_have_is_named(
    wanted: tuple[str, ...], there: tuple[str, ...], said: list[str]
) -> None:
    """Whether it has that fused, or not at all."""
    found = list(left_without(wanted, [f"model.layers.0.self_attn.{name}" for name in there]))
    assert len(found) == len(said) and all(part in text for part, text in zip(said, found, strict=True))


@pytest.mark.parametrize(
    ("wanted", "there", "expected"),
    [
        (DEFAULT_TARGETS, ALL_TARGETS, ()),
        (DEFAULT_TARGETS, TARGETS, ("qkv_proj", "gate_up_proj")),
        (("v_proj", "o_proj"), TARGETS, ("qkv_proj",)),
        (("o_proj",), TARGETS, ()),
        (TARGETS, TARGETS, ()),
    ],
)
def test_which_are_meant(wanted: Any, there: Any, expected: Any) -> None:
    """Where a part is wanted that is not there by itself."""
    assert fused_instead(wanted, there) == expected


def logits(exporter: Exporter, base: Path, adapter: Path | None) -> Any:
    model = load_base(base).model
    if adapter:
        load_adapter(model, adapter)
    model.eval()
    return np.array(model(mx.array([[5, 17, 2, 40, 9]]))[0].astype(mx.float32))


def test_merged_it_computes_the_same(tmp_path: Path) -> None:
    """For MLX, in 16 bits; far from the base model."""
    exporter = exporter_of(tmp_path / "project", PHI3, lora_targets=TARGETS)
    made = exporter.export(ExportRequest("mlx")).folder
    tuned = logits(exporter, exporter.base, exporter.adapter.folder)
    assert np.abs(logits(exporter, made, None) - tuned).max() < 0.05
    assert np.abs(logits(exporter, exporter.base, None) - tuned).max() > 0.5


def test_peft_has_the_same_fused_matrices(tmp_path: Path) -> None:
    """Turned, under transformers' names, which are the same; read again they are the adapter."""
    exporter = exporter_of(tmp_path / "project", PHI3, lora_targets=TARGETS)
    folder = exporter.export(ExportRequest("peft")).folder
    assert json.loads((folder / "adapter_config.json").read_text())["target_modules"] == sorted(TARGETS)
    ours, theirs = (
        load_file(f / n)
        for f, n in ((exporter.adapter.folder, "adapters.safetensors"), (folder, "adapter_model.safetensors"))
    )
    path = "model.layers.1.self_attn.qkv_proj"
    assert np.array_equal(theirs[f"base_model.model.{path}.lora_B.weight"], ours[f"{path}.lora_b"].T)
    again = logits(exporter, exporter.base, folder)
    assert np.array_equal(again, logits(exporter, exporter.base, exporter.adapter.folder))


def test_peft_is_refused_where_the_fusion_is_not_known(tmp_path: Path) -> None:
    """Another architecture may order the rows otherwise."""
    exporter = exporter_of(tmp_path / "project", PHI3, lora_targets=TARGETS)
    path = exporter.base / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_type": "plamo3"}))
    with pytest.raises(UserError, match="gate_up_proj, qkv_proj cannot be written in PEFT's form"):
        exporter.export(ExportRequest("peft"))


@pytest.mark.parametrize("target", ["ollama", "llama.cpp", "gguf"])
def test_gguf_is_refused_by_the_architecture(tmp_path: Path, target: Target) -> None:
    """In one sentence, with the forms that can be written."""
    exporter = exporter_of(tmp_path / "project", PHI3, lora_targets=TARGETS)
    with pytest.raises(UserError, match="architecture 'phi3' cannot be written as GGUF") as refused:
        exporter.export(ExportRequest(target))
    assert refused.value.fix == "export it with --to mlx or --to peft"
