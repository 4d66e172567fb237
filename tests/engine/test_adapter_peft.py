"""Adapters of PEFT's form: computed as PEFT computes them, or refused by the field that stands against it."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from engine.backend import mx, nn
from engine.errors import UserError
from engine.model.adapter import adapter_weights, load_adapter, save_adapter
from engine.model.adapter_file import adapter_base, read_adapter
from tests.support.peft_form import CONFIG, WEIGHTS, as_peft
from tests.support.peft_llama import FOLDER, TOKENS, logits_with_peft, write_with_peft

import numpy as np
import pytest
from mlx_lm.models.llama import Model, ModelArgs
from mlx_lm.tuner.utils import load_adapters
from safetensors.numpy import load_file, save_file


def base(folder: Path = FOLDER) -> nn.Module:
    model = Model(ModelArgs.from_dict(json.loads((folder / "config.json").read_text())))
    model.load_weights(str(folder / "model.safetensors"))
    model.eval()
    return model


def logits(model: nn.Module) -> np.ndarray[Any, Any]:
    return np.array(model(mx.array([TOKENS]))[0].astype(mx.float32))


def adapted(folder: Path) -> np.ndarray[Any, Any]:
    """The logits of a folder's model with its adapter, as we compute them."""
    model = base(folder)
    load_adapter(model, folder / "adapter")
    return logits(model)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the stored adapter."""
    return Path(shutil.copytree(FOLDER / "adapter", tmp_path / "copied"))


def change(folder: Path, **values: Any) -> None:
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(config | values))


def test_the_stored_adapter_gives_the_logits_that_peft_gave() -> None:
    """To 1e-4, with the adapter and without; the two are far apart."""
    expected = load_file(FOLDER / "logits.safetensors")
    assert np.abs(expected["adapted"] - expected["base"]).max() > 1
    assert np.abs(logits(base()) - expected["base"]).max() < 1e-4
    assert np.abs(adapted(FOLDER) - expected["adapted"]).max() < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"use_rslora": True, "lora_alpha": 3},
        {"r": 3, "lora_alpha": 5, "target_modules": ["gate_proj", "o_proj", "k_proj"]},
        {"layers_to_transform": [1], "target_modules": ["up_proj"]},
        {"target_modules": "all-linear"},
    ],
    ids=str,
)
def test_what_peft_makes_now_gives_its_logits(tmp_path: Path, changes: dict[str, Any]) -> None:
    """Scales, ranks, projections and layers of several kinds."""
    pytest.importorskip("peft")
    write_with_peft(tmp_path / "made", **changes)
    expected = load_file(tmp_path / "made" / "logits.safetensors")
    assert np.abs(expected["adapted"] - expected["base"]).max() > 0.1
    assert np.abs(adapted(tmp_path / "made") - expected["adapted"]).max() < 1e-4


@pytest.mark.slow
def test_peft_computes_what_we_do_after_a_way_there_and_back(tmp_path: Path) -> None:
    """Saved in mlx-lm's form and turned into PEFT's: the same file, and the same logits by PEFT."""
    pytest.importorskip("peft")
    read = read_adapter(FOLDER / "adapter")
    save_adapter(tmp_path / "ours", read.weights, read.config)
    folder = as_peft(tmp_path / "ours", tmp_path / "theirs")
    before, after = load_file(FOLDER / "adapter" / WEIGHTS), load_file(folder / WEIGHTS)
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert np.abs(logits_with_peft(FOLDER, folder) - adapted(FOLDER)).max() < 1e-4


def test_it_is_mlx_lms_after_reading(tmp_path: Path) -> None:
    """What is read and written again loads in mlx-lm itself, which then gives PEFT's logits."""
    read = read_adapter(FOLDER / "adapter")
    assert (read.form, read.rank, read.scale, read.base_model) == ("peft", 4, 2.0, "")
    assert read.config == {
        "fine_tune_type": "lora",
        "num_layers": 2,
        "lora_parameters": {
            "rank": 4,
            "scale": 2.0,
            "dropout": 0.0,
            "keys": ["mlp.down_proj", "self_attn.q_proj", "self_attn.v_proj"],
            "alpha": 8,
        },
    }
    save_adapter(tmp_path / "ours", read.weights, read.config)
    model = base()
    load_adapters(model, str(tmp_path / "ours"))
    model.eval()
    expected = load_file(FOLDER / "logits.safetensors")["adapted"]
    assert np.abs(logits(model) - expected).max() < 1e-4
    again = read_adapter(tmp_path / "ours")
    assert again.form == "mlx-lm" and again.config == read.config
    assert all(mx.array_equal(again.weights[name], read.weights[name]) for name in read.weights)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"peft_type": "LOHA"}, "peft_type = 'LOHA'"),
        ({"peft_type": None}, "peft_type = None"),
        ({"peft_type": ["LORA"]}, "peft_type"),
        ({"task_type": "SEQ_CLS"}, "task_type = 'SEQ_CLS'"),
        ({"bias": "lora_only"}, "bias = 'lora_only'"),
        ({"use_dora": 1}, "use_dora"),
        ({"use_dora": True}, "q_proj.m is missing"),
        ({"use_qalora": True}, "use_qalora"),
        ({"lora_bias": True}, "lora_bias"),
        ({"fan_in_fan_out": True}, "fan_in_fan_out"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"rank_pattern": {"q_proj": 8}}, "rank_pattern"),
        ({"alpha_pattern": {"q_proj": 8}}, "alpha_pattern"),
        ({"layer_replication": [[0, 2]]}, "layer_replication"),
        ({"trainable_token_indices": [1]}, "trainable_token_indices"),
        ({"target_parameters": ["experts"]}, "target_parameters"),
        ({"alora_invocation_tokens": [1]}, "alora_invocation_tokens"),
        ({"megatron_config": {"a": 1}}, "megatron_config"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights = 'pissa'"),
        ({"init_lora_weights": "loftq"}, "init_lora_weights"),
        ({"unheard_of": 1}, "unheard_of = 1"),
        ({"\x1b[2J": 1}, "x1b"),
        ({"r": 0}, "'r'"),
        ({"r": 4.5}, "'r'"),
        ({"r": 2**40}, "'r'"),
        ({"r": 8}, "not of rank 8"),
        ({"lora_alpha": "8"}, "lora_alpha"),
        ({"lora_alpha": 1e308}, "lora_alpha"),
        ({"lora_alpha": float("nan")}, "lora_alpha"),
        ({"use_rslora": "yes"}, "use_rslora"),
        ({"lora_dropout": 7}, "lora_dropout"),
    ],
    ids=str,
)
def test_what_changes_the_result_is_refused_by_its_name(
    copied: Path, values: dict[str, Any], named: str
) -> None:
    """No field that asks for more than mlx-lm's layers can do is passed over."""
    change(copied, **values)
    with pytest.raises(UserError, match="Cannot use the adapter") as caught:
        read_adapter(copied)
    assert named in caught.value.problem and caught.value.fix and str(caught.value).isprintable()


def with_array(folder: Path, name: str, shape: tuple[int, ...] = (2, 2)) -> None:
    save_file({**load_file(folder / WEIGHTS), name: np.ones(shape, np.float32)}, folder / WEIGHTS)


def test_a_field_is_named_before_the_matrices_that_it_brings(copied: Path) -> None:
    """An adapter with biases of its own: not they are wrong, but what asked for them."""
    change(copied, lora_bias=True)
    with_array(copied, "base_model.model.model.layers.0.self_attn.q_proj.lora_B.bias", (16,))
    with pytest.raises(UserError, match="lora_bias = True"):
        read_adapter(copied)


@pytest.mark.parametrize(
    "name",
    [
        "base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector",
        "base_model.model.model.embed_tokens.lora_embedding_A",
        "base_model.model.lm_head.modules_to_save.weight",
        "base_model.model.lm_head.base_layer.weight",
        "base_model.model.model.layers.0.self_attn.q_proj.lora_B.bias",
        "model.layers.0.self_attn.q_proj.lora_A.weight",
        "\x1b]0;x\x07",
    ],
)
def test_a_tensor_of_another_kind_is_refused_by_its_name(copied: Path, name: str) -> None:
    """What would be left out of the result is told, and not left out."""
    with_array(copied, name)
    with pytest.raises(UserError, match="is no matrix of a linear layer's adapter") as caught:
        read_adapter(copied)
    assert name.isprintable() is (name in str(caught.value)) and str(caught.value).isprintable()


def test_a_convolution_and_half_a_pair_are_refused(copied: Path) -> None:
    """Four axes, or one matrix alone."""
    one = "base_model.model.model.layers.0.mlp.up_proj.lora_{}.weight"
    with_array(copied, one.format("A"), (4, 16))
    with pytest.raises(UserError, match=r"up_proj\.lora_b is missing"):
        read_adapter(copied)
    with_array(copied, one.format("B"), (24, 4, 1, 1))
    with pytest.raises(UserError, match="up_proj"):
        read_adapter(copied)


def test_left_out_layers_and_other_models_are_refused(copied: Path) -> None:
    """mlx-lm's form knows the last layers only; a layer or a size that the model has not is named."""
    stored = load_file(copied / WEIGHTS)
    save_file(
        {name.replace("layers.1.", "layers.3."): array for name, array in stored.items()}, copied / WEIGHTS
    )
    with pytest.raises(UserError, match="between 0 and 3"):
        read_adapter(copied)
    only = {name: array for name, array in stored.items() if "layers.0." in name}
    save_file(only, copied / WEIGHTS)
    with pytest.raises(UserError, match=r"adapts model\.layers\.0\..* and not all layers after") as caught:
        load_adapter(base(), copied)
    assert caught.value.fix == "train it on all layers, or on the last ones"
    wide = {name: np.ones((99, 4), np.float32) if "lora_B" in name else array for name, array in only.items()}
    save_file(wide, copied / WEIGHTS)
    with pytest.raises(UserError, match=r"model\.layers\.0\..* has 99 outputs, in this model ") as caught:
        load_adapter(base(), copied)
    assert "base model that it was made for" in caught.value.fix
    name = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
    save_file({**stored, name: np.ones((4, 20), np.float32)}, copied / WEIGHTS)
    with pytest.raises(UserError, match="20 x 4, in this model 16 x 4"):
        load_adapter(base(), copied)


def test_files_that_are_missing_or_of_two_adapters_are_told(copied: Path, tmp_path: Path) -> None:
    """Each with what to do; a pickle is never opened."""
    pickle = copied / "adapter_model.bin"
    (copied / WEIGHTS).rename(pickle)
    with pytest.raises(UserError, match="pickle") as caught:
        read_adapter(copied)
    assert "weights_only=True" in caught.value.fix
    pickle.rename(copied / "adapters.safetensors")
    with pytest.raises(UserError, match="is of PEFT's form"):
        read_adapter(copied)
    shutil.copy(copied / "adapters.safetensors", copied / WEIGHTS)
    with pytest.raises(UserError, match="it holds two"):
        read_adapter(copied)
    (copied / "adapters.safetensors").unlink()
    (copied / CONFIG).unlink()
    with pytest.raises(UserError, match=f"it has no {CONFIG}"):
        read_adapter(copied)
    for folder, reason in ((tmp_path / "none", "no such folder"), (tmp_path, "it has neither")):
        with pytest.raises(UserError, match=reason):
            read_adapter(folder)


@pytest.mark.slow
def test_the_command_that_turns_a_pickle_into_safetensors_works(copied: Path) -> None:
    """Run as it stands in the refusal, it makes an adapter that is read."""
    torch = pytest.importorskip("torch")
    load_torch = pytest.importorskip("safetensors.torch").load_file
    torch.save(load_torch(copied / WEIGHTS), copied / "adapter_model.bin")
    (copied / WEIGHTS).unlink()
    with pytest.raises(UserError) as caught:
        read_adapter(copied)
    words = shlex.split(caught.value.fix.partition("python ")[2])
    subprocess.run([sys.executable, *words], cwd=copied, check=True)
    read = read_adapter(copied).weights
    kept = read_adapter(FOLDER / "adapter").weights
    assert all(mx.array_equal(read[name], kept[name]) for name in kept)


def test_half_precision_and_the_base_models_name_are_read(copied: Path) -> None:
    """Weights of 16 bits are what they are, as float32 in the model; the name is the Hub's."""
    stored = load_file(copied / WEIGHTS)
    save_file({name: array.astype(np.float16) for name, array in stored.items()}, copied / WEIGHTS)
    change(copied, base_model_name_or_path="unsloth/tiny")
    assert read_adapter(copied).base_model == adapter_base(copied) == "unsloth/tiny"
    model = base()
    model.freeze()
    load_adapter(model, copied)
    assert {array.dtype for array in adapter_weights(model).values()} == {mx.float32}
    expected = load_file(FOLDER / "logits.safetensors")["adapted"]
    assert np.abs(logits(model) - expected).max() < 0.1


def test_links_and_pipes_are_met_as_elsewhere(copied: Path, tmp_path: Path) -> None:
    """A link leads to the file; a named pipe is refused and not waited for."""
    (copied / WEIGHTS).rename(tmp_path / "kept")
    (copied / WEIGHTS).symlink_to(tmp_path / "kept")
    assert read_adapter(copied).rank == 4
    (copied / WEIGHTS).unlink()
    os.mkfifo(copied / WEIGHTS)
    with pytest.raises(UserError, match="named pipe"):
        read_adapter(copied)
