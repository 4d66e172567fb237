"""The checks of base model and data."""

import json
from pathlib import Path

from engine.hardware.project_checks import begin_trial, check_data, check_model, count_rows
from engine.project import Project

import pytest


def make_model(root: Path, bits: int | None = 4) -> Path:
    folder = root / "models" / "small-4bit"
    folder.mkdir(parents=True)
    sizes = {
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 128,
        "vocab_size": 500,
    }
    quantization = {"quantization": {"bits": bits, "group_size": 64}} if bits else {}
    (folder / "config.json").write_text(json.dumps(sizes | quantization))
    (folder / "model.safetensors").write_bytes(b"\0" * 2_000_000)
    (folder / "tokenizer.json").write_text("{}")
    return folder


def make_data(root: Path, train: bytes | None, valid: bytes | None) -> None:
    (root / "data").mkdir(exist_ok=True)
    for name, content in (("train", train), ("valid", valid)):
        if content is not None:
            (root / "data" / f"{name}.jsonl").write_bytes(content)


def test_a_whole_model_is_described(tmp_path: Path) -> None:
    """Folder, bits and size of the weights."""
    make_model(tmp_path)
    found = check_model(begin_trial(Project(tmp_path)))
    assert (found.value, found.status) == ("models/small-4bit, 4-bit, 2.0 MB", "ok")


def test_a_missing_model_points_to_the_demo(tmp_path: Path) -> None:
    """The way out needs no knowledge of model hubs."""
    found = check_model(begin_trial(Project(tmp_path)))
    assert found.status == "error"
    assert "mqlora-tui demo" in found.fix


@pytest.mark.parametrize("lost", ["model.safetensors", "tokenizer.json"])
def test_an_incomplete_model_is_an_error(tmp_path: Path, lost: str) -> None:
    """The missing file is named."""
    (make_model(tmp_path) / lost).unlink()
    found = check_model(begin_trial(Project(tmp_path)))
    assert found.status == "error"
    assert lost in found.detail


def test_a_missing_shard_is_an_error(tmp_path: Path) -> None:
    """The index tells which files belong to the model."""
    folder = make_model(tmp_path)
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    found = check_model(begin_trial(Project(tmp_path)))
    assert found.status == "error"
    assert "model-00002-of-00002.safetensors" in found.detail
    assert "lacks model.safetensors" not in found.detail


def test_a_broken_model_description_is_an_error(tmp_path: Path) -> None:
    """It is shown as a check, not raised."""
    (make_model(tmp_path) / "config.json").write_text("{}")
    found = check_model(begin_trial(Project(tmp_path)))
    assert found.status == "error"
    assert "config.json" in found.detail


def test_weights_that_are_not_quantised_are_warned_of(tmp_path: Path) -> None:
    """They train, but take four times the memory."""
    make_model(tmp_path, bits=None)
    found = check_model(begin_trial(Project(tmp_path)))
    assert found.status == "warning"
    assert "not quantised" in found.value


def test_rows_are_counted_without_blank_lines(tmp_path: Path) -> None:
    """A last line without a line break is a row; line ends of Windows make none."""
    file = tmp_path / "rows"
    file.write_bytes(b'{"a": 1}\n\n  \r\n{"a": 2}\r\n\xff\xfe\n{"a": 3}')
    assert count_rows(file) == 4
    assert count_rows(tmp_path / "none") is None


def test_both_data_files_are_counted(tmp_path: Path) -> None:
    """The value names both."""
    make_data(tmp_path, b"{}\n" * 1850, b"{}\n" * 95)
    found = check_data(Project(tmp_path))
    assert (found.value, found.status) == ("1,850 train, 95 valid", "ok")


@pytest.mark.parametrize(
    ("train", "valid", "named"),
    [
        (None, b"{}\n", "train.jsonl does not exist"),
        (b"\n", b"{}\n", "train.jsonl has no rows"),
        (b"{}\n", None, "valid.jsonl does not exist"),
        (b"{}\n", b"", "valid.jsonl has no rows"),
    ],
)
def test_missing_or_empty_data_is_an_error(
    tmp_path: Path, train: bytes | None, valid: bytes | None, named: str
) -> None:
    """The first file that cannot be used is named with the way out."""
    make_data(tmp_path, train, valid)
    found = check_data(Project(tmp_path))
    assert found.status == "error"
    assert named in found.detail
    assert "mqlora-tui demo" in found.fix
