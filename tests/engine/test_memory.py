"""Sizes of models and adapters, and predicted disk, against figures worked out by hand."""

import json
from pathlib import Path

from engine.config import TrainingConfig
from engine.memory.predict import run_bytes, trainable_parameters
from engine.model_folder.dimensions import ModelDimensions
from tests.support.model_sizes import MISTRAL_7B, SMOLLM2_135M, shape_of

import pytest


@pytest.fixture
def mistral(tmp_path: Path) -> ModelDimensions:
    return shape_of(tmp_path, MISTRAL_7B)


@pytest.fixture
def smollm(tmp_path: Path) -> ModelDimensions:
    return shape_of(tmp_path, SMOLLM2_135M)


def test_published_parameter_counts_come_out(mistral: ModelDimensions, smollm: ModelDimensions) -> None:
    """The counts are those the models' authors publish."""
    assert mistral.parameters == 7_241_732_096
    assert smollm.parameters == 134_515_008


def test_packed_weights_take_their_bits_and_their_scales(
    mistral: ModelDimensions, smollm: ModelDimensions
) -> None:
    """Mistral on a GPU: 4 bits, and a 16-bit scale and bias a 64 weights, make 4.5 bits, so 4.07 GB.

    On a CPU scales and biases are float32: with groups of 32 that makes 6 bits.
    """
    assert mistral.weight_bytes("gpu", resident=False) == 7_241_732_096 * 9 // 16
    assert smollm.weight_bytes("cpu", resident=False) == 134_515_008 * 3 // 4


def test_resident_weights_take_a_number_each(mistral: ModelDimensions, smollm: ModelDimensions) -> None:
    """4 bytes on a CPU, 2 on a GPU. The embedding stays packed, unless it is the head too."""
    assert smollm.weight_bytes("cpu", resident=True) == 4 * 134_515_008
    embedding = 32000 * 4096
    expected = 2 * (7_241_732_096 - embedding) + embedding * 9 // 16
    assert mistral.weight_bytes("gpu", resident=True) == expected


def test_other_quantisations_have_a_scale_of_8_bits_and_no_bias(tmp_path: Path) -> None:
    """Such as mxfp4: 4 bits and 8 a 32 weights make 4.25, on either device."""
    quantization = {"group_size": 32, "bits": 4, "mode": "mxfp4"}
    shape = shape_of(tmp_path, SMOLLM2_135M | {"quantization": quantization})
    for device in ("cpu", "gpu"):
        assert shape.weight_bytes(device, resident=False) == 134_515_008 * 17 // 32


@pytest.mark.parametrize("resident", [True, False])
def test_weights_that_are_not_quantised_are_as_they_are(tmp_path: Path, resident: bool) -> None:
    """A model without a `quantization` entry takes 16 bits a weight on a GPU, 32 on a CPU."""
    values = {key: value for key, value in SMOLLM2_135M.items() if key != "quantization"}
    shape = shape_of(tmp_path, values)
    assert shape.bits is None
    assert shape.weight_bytes("gpu", resident) == 2 * 134_515_008
    assert shape.weight_bytes("cpu", resident) == 4 * 134_515_008


def test_missing_optional_sizes_take_their_usual_values(tmp_path: Path) -> None:
    """Without grouped-query attention every head has its own keys; heads share the width evenly."""
    values = {key: value for key, value in SMOLLM2_135M.items() if key != "num_key_value_heads"}
    shape = shape_of(tmp_path, values)
    assert (shape.kv_heads, shape.head_dim) == (9, 64)


def test_an_explicit_head_size_is_kept(tmp_path: Path) -> None:
    """Some models have heads wider than hidden / heads."""
    shape = shape_of(tmp_path, SMOLLM2_135M | {"head_dim": 128})
    assert shape.projections["o_proj"] == (9 * 128, 576)


def test_a_nested_description_is_read(tmp_path: Path) -> None:
    """Models with images keep the language model's sizes in `text_config`."""
    assert shape_of(tmp_path, {"text_config": SMOLLM2_135M}).layers == 30


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "null",
        '{"hidden_size": 576}',
        json.dumps(SMOLLM2_135M | {"num_attention_heads": 0}),
        json.dumps(SMOLLM2_135M | {"hidden_size": "wide"}),
        json.dumps(SMOLLM2_135M | {"num_hidden_layers": 10**6}),
        json.dumps(SMOLLM2_135M | {"num_attention_heads": -9}),
        json.dumps(SMOLLM2_135M | {"vocab_size": -1}),
        json.dumps(SMOLLM2_135M | {"num_hidden_layers": None}),
        json.dumps(SMOLLM2_135M | {"quantization": 4}),
    ],
)
def test_of_a_broken_model_description_no_sizes_are_known(tmp_path: Path, content: str) -> None:
    """That the model cannot be used is said where it is looked at."""
    (tmp_path / "config.json").write_text(content)
    assert ModelDimensions.read(tmp_path) is None


def test_of_a_missing_model_description_no_sizes_are_known(tmp_path: Path) -> None:
    """A folder without config.json is no model."""
    assert ModelDimensions.read(tmp_path) is None


def test_adapter_of_mistral_has_the_known_size(mistral: ModelDimensions) -> None:
    """Rank 8 on all seven projections of 32 layers: 20,971,520 weights."""
    assert trainable_parameters(mistral, TrainingConfig()) == 20_971_520


def test_adapter_counts_only_chosen_projections_and_layers(mistral: ModelDimensions) -> None:
    """Rank 4 on the queries of two layers: 2 x 4 x (4096 + 4096)."""
    config = TrainingConfig(lora_rank=4, lora_targets=("q_proj",), lora_layers=2)
    assert trainable_parameters(mistral, config) == 65_536


def test_disk_of_a_run_holds_all_its_checkpoints(mistral: ModelDimensions) -> None:
    """Five checkpoints of adapter and two moments (252 MB each) and the best adapter (84 MB)."""
    assert run_bytes(mistral, TrainingConfig(keep_checkpoints=3)) == 5 * 251_658_240 + 83_886_080
