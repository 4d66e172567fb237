"""The hardware report tells what was measured of the modes to multiply."""

from dataclasses import replace
from pathlib import Path

from engine.hardware.weights import check_weights
from engine.model.matmul_timings import read_calibrations, write_calibrations
from engine.model_folder.dimensions import ModelDimensions

import pytest

SHAPE = ModelDimensions(4096, 32, 32, 8, 128, 14336, 32000, tied=False, bits=4)


def test_nothing_is_reported_before_something_was_measured() -> None:
    """The first run measures."""
    assert check_weights(SHAPE) is None


def test_the_fastest_mode_comes_first_with_its_time() -> None:
    """Of the newest measurement with this model; what was not tried is not mentioned."""
    square = "GPU: 4096x4096 4-bit/64 affine, 64 rows"
    write_calibrations(
        {
            "GPU: 14336x4096 4-bit/64 affine, 64 rows": {"packed": 2.0, "resident": 1.0},
            square: {"transient": 0.002, "resident": 0.0015},
            "GPU: 576x576 4-bit/64 affine, 64 rows": {"packed": 0.2, "resident": 0.1},
            "GPU: 4096x4096 8-bit/64 affine, 64 rows": {"packed": 0.2, "resident": 0.1},
        }
    )
    found = check_weights(SHAPE)
    assert found is not None
    assert found.value == "resident 1.5 ms, transient 2.0 ms"
    assert found.detail == square


@pytest.mark.parametrize("shape", [None, replace(SHAPE, bits=None), replace(SHAPE, hidden=64)])
def test_another_models_times_are_not_reported(shape: ModelDimensions | None) -> None:
    """Nor any for a model whose sizes are not known, or whose weights are not quantised."""
    write_calibrations({"GPU: 4096x4096 4-bit/64 affine, 64 rows": {"packed": 2.0, "resident": 1.0}})
    assert check_weights(shape) is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"a": 1}',
        '{"a": {"packed": "x", "resident": 1}}',
        '{"a": {"resident": 1}}',
        '{"a": {"packed": -1, "resident": 1}}',
        '{"a": {"packed": NaN, "resident": 1}}',
        '{"a": {"packed": 1' + "0" * 400 + ', "resident": 1}}',
        "[" * 9999,
    ],
)
def test_a_file_that_is_not_ours_counts_as_none(calibrations: Path, content: str) -> None:
    """It is measured again and written anew."""
    calibrations.write_text(content)
    assert read_calibrations() == {}


def test_a_folder_that_cannot_be_written_is_no_failure(calibrations: Path) -> None:
    """Nothing is remembered, that is all."""
    calibrations.mkdir()
    write_calibrations({"kind": {"packed": 2.0, "resident": 1.0}})
    assert read_calibrations() == {}
