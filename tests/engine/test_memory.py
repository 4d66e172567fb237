"""Predicted memory and disk against figures worked out by hand."""

import json
from pathlib import Path
from typing import Any

from engine.config import TrainingConfig
from engine.errors import UserError
from engine.memory import (
    ModelShape,
    predict_peak,
    recomputes,
    run_bytes,
    trainable_parameters,
)

import pytest

MISTRAL_7B: dict[str, Any] = {
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "vocab_size": 32000,
    "tie_word_embeddings": False,
    "quantization": {"group_size": 64, "bits": 4},
}
SMOLLM2_135M: dict[str, Any] = {
    "hidden_size": 576,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "intermediate_size": 1536,
    "vocab_size": 49152,
    "tie_word_embeddings": True,
    "quantization": {"group_size": 32, "bits": 4},
}


def shape_of(folder: Path, values: dict[str, Any]) -> ModelShape:
    (folder / "config.json").write_text(json.dumps(values))
    return ModelShape.read(folder)


@pytest.fixture
def mistral(tmp_path: Path) -> ModelShape:
    return shape_of(tmp_path, MISTRAL_7B)


@pytest.fixture
def smollm(tmp_path: Path) -> ModelShape:
    return shape_of(tmp_path, SMOLLM2_135M)


def test_published_parameter_counts_come_out(mistral: ModelShape, smollm: ModelShape) -> None:
    """The counts are those the models' authors publish."""
    assert mistral.parameters == 7_241_732_096
    assert smollm.parameters == 134_515_008


def test_weights_of_mistral_are_packed_on_a_gpu(mistral: ModelShape) -> None:
    """4 bits and a 16-bit scale and bias per 64 weights make 4.5 bits, so 4.07 GB."""
    assert mistral.weight_bytes("gpu") == pytest.approx(7_241_732_096 * 4.5 / 8, rel=1e-6)


def test_weights_are_float32_on_a_cpu(smollm: ModelShape) -> None:
    """135 million weights of 4 bytes are 0.54 GB."""
    assert smollm.weight_bytes("cpu") == 538_060_032


def test_weights_that_are_not_quantised_take_two_bytes_on_a_gpu(tmp_path: Path) -> None:
    """A model without a `quantization` entry stays 16-bit."""
    values = {key: value for key, value in SMOLLM2_135M.items() if key != "quantization"}
    shape = shape_of(tmp_path, values)
    assert shape.bits is None
    assert shape.weight_bytes("gpu") == 2 * 134_515_008


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
        json.dumps(SMOLLM2_135M | {"vocab_size": -1}),
        json.dumps(SMOLLM2_135M | {"num_hidden_layers": None}),
        json.dumps(SMOLLM2_135M | {"quantization": 4}),
    ],
)
def test_a_broken_model_description_is_refused(tmp_path: Path, content: str) -> None:
    """The refusal names the file and says what to do."""
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(UserError) as refused:
        ModelShape.read(tmp_path)
    assert "config.json" in refused.value.problem
    assert refused.value.fix


def test_a_missing_model_description_is_refused(tmp_path: Path) -> None:
    """A folder without config.json is no model."""
    with pytest.raises(UserError):
        ModelShape.read(tmp_path)


def test_adapter_of_mistral_has_the_known_size(mistral: ModelShape) -> None:
    """Rank 8 on all seven projections of 32 layers: 20,971,520 weights."""
    assert trainable_parameters(mistral, TrainingConfig()) == 20_971_520


def test_adapter_counts_only_chosen_projections_and_layers(mistral: ModelShape) -> None:
    """Rank 4 on the queries of two layers: 2 x 4 x (4096 + 4096)."""
    config = TrainingConfig(lora_rank=4, lora_targets=("q_proj",), lora_layers=2)
    assert trainable_parameters(mistral, config) == 65_536


def test_disk_of_a_run_holds_all_its_checkpoints(mistral: ModelShape) -> None:
    """Five checkpoints of adapter and two moments (252 MB each) and the best adapter (84 MB)."""
    assert run_bytes(mistral, TrainingConfig(keep_checkpoints=3)) == 5 * 251_658_240 + 83_886_080


def test_peak_on_a_cpu_matches_the_sum_by_hand(smollm: ModelShape) -> None:
    """Every term of the formula for one row of 128 tokens, all trained."""
    config = TrainingConfig(batch_size=1, max_seq_length=128)
    kept = 30 * 128 * 4 * (5 * 576 + 2 * 576 + 2 * 192 + 5 * 1536 + 9 * 128)
    logits = 4 * 4 * 49152 * 128
    adapter = 12 * 2_442_240
    assert predict_peak(smollm, config, "cpu") == 538_060_032 + adapter + kept + logits


# MLX's peak in one step of the float32 model on a CPU, every position trained.
MEASURED = [
    (1, 128, "off", 872_606_740),
    (1, 256, "off", 1_214_166_552),
    (1, 256, "on", 799_231_540),
    (2, 384, "off", 2_606_461_460),
    (2, 384, "on", 1_266_250_288),
    (4, 512, "off", 6_276_180_500),
]


@pytest.mark.parametrize(("rows", "length", "checkpointing", "measured"), MEASURED)
def test_prediction_is_near_what_was_measured(
    smollm: ModelShape, rows: int, length: int, checkpointing: str, measured: int
) -> None:
    """The prediction stays within 1 % of the recorded peaks."""
    config = TrainingConfig.parse(
        {"batch_size": rows, "max_seq_length": length, "gradient_checkpointing": checkpointing}
    )
    assert predict_peak(smollm, config, "cpu") == pytest.approx(measured, rel=0.01)


def test_short_examples_need_less_memory(mistral: ModelShape) -> None:
    """Memory follows the longest example where that is shorter than the limit."""
    config = TrainingConfig(max_seq_length=512)
    assert predict_peak(mistral, config, "gpu", longest=100) < predict_peak(mistral, config, "gpu")
    assert predict_peak(mistral, config, "gpu", longest=9000) == predict_peak(mistral, config, "gpu")


def test_attention_scores_are_kept_on_a_cpu_only(mistral: ModelShape) -> None:
    """On a GPU the same number of tokens costs the same however long the rows are."""
    wide, tall = (
        TrainingConfig(batch_size=4, max_seq_length=128),
        TrainingConfig(batch_size=1, max_seq_length=512),
    )
    assert predict_peak(mistral, wide, "gpu") == predict_peak(mistral, tall, "gpu")
    assert predict_peak(mistral, wide, "cpu") < predict_peak(mistral, tall, "cpu")


def test_padding_counts(smollm: ModelShape) -> None:
    """An example of 371 tokens is padded to 384, a multiple of 24."""
    config = TrainingConfig(max_seq_length=512)
    assert predict_peak(smollm, config, "cpu", longest=371) == predict_peak(
        smollm, config, "cpu", longest=384
    )
    assert predict_peak(smollm, config, "cpu", longest=385) > predict_peak(smollm, config, "cpu", longest=384)


def test_auto_checkpointing_comes_on_where_memory_is_short(mistral: ModelShape) -> None:
    """It follows the room there is; "on" and "off" do not."""
    auto = TrainingConfig()
    needed = predict_peak(mistral, auto, "gpu")
    assert not recomputes(mistral, auto, "gpu", room=needed)
    assert recomputes(mistral, auto, "gpu", room=needed - 1)
    assert recomputes(mistral, auto.updated({"gradient_checkpointing": "on"}), "gpu", room=needed)
    assert not recomputes(mistral, auto.updated({"gradient_checkpointing": "off"}), "gpu", room=0)


def test_checkpointing_saves_memory(mistral: ModelShape) -> None:
    """Otherwise nobody would pay its time."""
    config = TrainingConfig()
    saving = config.updated({"gradient_checkpointing": "on"})
    assert predict_peak(mistral, saving, "gpu") < predict_peak(mistral, config, "gpu")
