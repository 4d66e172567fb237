"""The hardware report tells what was measured of the ways to multiply."""

from pathlib import Path

from engine.calibrations import read_calibrations, write_calibrations
from engine.hardware.weights import check_weights

import pytest


def test_nothing_is_told_before_something_was_measured() -> None:
    """The first run measures."""
    assert check_weights() is None


def test_the_fastest_way_is_named_with_its_time() -> None:
    """Of the newest measurement; what was not tried is not mentioned."""
    write_calibrations(
        {"old": {"packed": 2.0, "resident": 1.0}, "GPU: 4096x4096": {"transient": 0.002, "resident": 0.0015}}
    )
    found = check_weights()
    assert found is not None
    assert found.value == "resident is fastest (resident 1.5 ms, transient 2.0 ms)"
    assert found.detail == "GPU: 4096x4096"


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
