"""The checks of base model and data."""

from pathlib import Path

from engine.config import TrainingConfig
from engine.hardware.project_checks import begin_trial, check_data, check_model, count_rows
from engine.hardware.report import Check
from engine.model_folder.trial import start_child
from engine.project import Project
from tests.support.tiny import write_model

import pytest

ROW = b'{"prompt": "a", "completion": "b"}\n'


def make_data(root: Path, train: bytes | None, valid: bytes | None) -> None:
    (root / "data").mkdir(exist_ok=True)
    for name, content in (("train", train), ("valid", valid)):
        if content is not None:
            (root / "data" / f"{name}.jsonl").write_bytes(content)


def found_model(root: Path) -> Check:
    return check_model(begin_trial(Project(root)))


def test_a_whole_model_is_described(tmp_path: Path) -> None:
    """Folder, bits and size of the weights."""
    write_model(tmp_path / "models" / "small-4bit")
    found = found_model(tmp_path)
    assert found.status == "ok"
    assert found.value.startswith("models/small-4bit, 4-bit, ") and found.value.endswith(" kB")


def test_a_missing_model_points_to_the_demo(tmp_path: Path) -> None:
    """The way out needs no knowledge of model hubs."""
    found = found_model(tmp_path)
    assert found.status == "error"
    assert "mqlora-tui demo" in found.fix


def test_weights_that_are_not_quantised_are_warned_of(tmp_path: Path) -> None:
    """They train, but take four times the memory."""
    write_model(tmp_path / "models" / "small", quantize=False)
    found = found_model(tmp_path)
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
    make_data(tmp_path, ROW * 1850, ROW * 95)
    found = check_data(Project(tmp_path))
    assert (found.value, found.status) == ("1,850 train, 95 valid", "ok")


@pytest.mark.parametrize(
    ("train", "valid", "named"),
    [
        (None, ROW, "train.jsonl does not exist"),
        (b"\n", ROW, "train.jsonl has no rows"),
        (ROW, None, "valid.jsonl does not exist"),
        (ROW, b"", "valid.jsonl has no rows"),
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
    assert ("mqlora-tui clean" if "valid" in named else "mqlora-tui demo") in found.fix


@pytest.mark.parametrize(
    ("train", "valid", "status", "named"),
    [
        (ROW, b"{}\n" + ROW, "warning", "1 of the first 2 rows of data/valid.jsonl cannot be used; line 1: "),
        (ROW + b"x\n", b"{}\n", "error", "None of the first rows of data/valid.jsonl can be used; line 1: "),
        (b"\n{}\n", ROW, "error", "None of the first rows of data/train.jsonl can be used; line 2: "),
        (b"{}\n" * 3, b"x\n", "error", "None of the first rows of data/train.jsonl"),
    ],
)
def test_rows_that_cannot_be_used_are_reported(
    tmp_path: Path, train: bytes, valid: bytes, status: str, named: str
) -> None:
    """A file of such rows only cannot be trained on; of some, the first is named."""
    make_data(tmp_path, train, valid)
    found = check_data(Project(tmp_path))
    assert found.status == status
    assert found.detail.startswith(named)
    assert "mqlora-tui validate" in found.fix


def test_what_is_only_odd_is_no_fault(tmp_path: Path) -> None:
    """Such as line ends of Windows."""
    make_data(tmp_path, ROW.replace(b"\n", b"\r\n"), ROW + b"\n")
    assert check_data(Project(tmp_path)).status == "ok"


def test_the_trial_of_a_model_ends_with_its_parent(tmp_path: Path) -> None:
    """A model may be made to load for ever, and whoever asked has left or was killed."""
    child = start_child(write_model(tmp_path / "tiny"), TrainingConfig())
    output, _errors = child.communicate(timeout=60)  # which closes its input first
    assert child.returncode == 1 and b"loads" not in output
