"""Measured speeds: each kind of matrix once, kept in a file that may be missing, damaged or forbidden."""

import json
from pathlib import Path

from engine.backend import mx, nn
from engine.model import matmul_benchmark as calibration
from engine.model.frozen_linear import matrix_key
from engine.model.matmul_benchmark import calibrate
from engine.model.matmul_timings import MATMUL_MODES, MatmulMode, read_calibrations, write_calibrations

import pytest

Calls = list[tuple[str, int]]


def layers() -> dict[str, nn.Module]:
    """Return a layer of each of two kinds."""
    made = [nn.QuantizedLinear(64, outputs, False, 32, 4) for outputs in (32, 96)]
    return {matrix_key(layer): layer for layer in made}


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Count measurements, which take no time here: the mode and the rows of each."""
    calls: Calls = []

    def seconds(layer: nn.Module, mode: MatmulMode, rows: int, dtype: mx.Dtype) -> float:
        calls.append((mode, rows))
        return float(len(calls))

    monkeypatch.setattr(calibration, "product_seconds", seconds)
    return calls


def test_each_mode_of_each_kind_takes_some_time() -> None:
    """Measured for real."""
    found = calibrate(layers(), 32, mx.float32)
    assert found.keys() == layers().keys()
    for times in found.values():
        assert times.keys() == set(MATMUL_MODES)
        assert all(0 < seconds < 60 for seconds in times.values())


def test_each_kind_is_measured_once(measured: Calls, calibrations: Path) -> None:
    """The next run, and the next process, take it from the file."""
    first = calibrate(layers(), 32, mx.float32)
    assert sorted(measured) == sorted([(mode, 32) for mode in MATMUL_MODES] * 2)
    assert calibrate(layers(), 32, mx.float32) == first
    assert len(measured) == 6
    assert list(read_calibrations().values()) == list(first.values())
    assert calibrations.is_file()


def test_only_what_is_new_is_measured(measured: Calls) -> None:
    """Another kind, another number of rows, another device."""
    known = layers()
    (first, *_rest) = known
    calibrate({first: known[first]}, 32, mx.float32)
    calibrate(known, 32, mx.float32)
    assert len(measured) == 6
    calibrate(known, 40, mx.float32)  # as fast as 32
    assert len(measured) == 6
    calibrate(known, 64, mx.float32)
    assert measured[6:] == [(mode, 64) for mode in MATMUL_MODES] * 2
    calibrate(known, 5000, mx.float32)  # on a CPU no more are tried
    assert len(measured) == 12


def test_another_device_or_version_is_measured_anew(measured: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    """What this machine took says nothing of another; both are remembered."""
    calibrate(layers(), 32, mx.float32)
    with monkeypatch.context() as patched:
        patched.setattr(calibration, "describe_device", lambda: "another")
        calibrate(layers(), 32, mx.float32)
        patched.setattr(mx, "__version__", "0.0")
        calibrate(layers(), 32, mx.float32)
    assert len(measured) == 18
    calibrate(layers(), 32, mx.float32)
    assert len(measured) == 18
    assert len(read_calibrations()) == 6


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "3",
        '{"a": 3}',
        '{"a": null}',
        '{"a": {"resident": "x"}}',
        '{"a": {"resident": null}}',
        "\xff",
        "[" * 5000,
    ],
)
def test_a_damaged_file_is_as_if_there_were_none(measured: Calls, calibrations: Path, content: str) -> None:
    """It is measured again, and the file is good then."""
    calibrations.write_bytes(content.encode("latin-1"))
    found = calibrate(layers(), 32, mx.float32)
    assert len(measured) == 6
    assert list(read_calibrations().values()) == list(found.values())


def test_a_torn_entry_does_not_count(measured: Calls, calibrations: Path) -> None:
    """An entry without a measured residence is measured again."""
    calibrate(layers(), 32, mx.float32)
    known = json.loads(calibrations.read_text())
    (name, *_rest) = known
    del known[name]["resident"]
    calibrations.write_text(json.dumps(known))
    calibrate(layers(), 32, mx.float32)
    assert len(measured) == 9


def test_a_folder_that_cannot_be_written_is_borne(
    measured: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file is in the place of the folder: each run measures then."""
    (tmp_path / "cache").write_text("")
    monkeypatch.setattr(
        "engine.model.matmul_timings.calibration_file", lambda: tmp_path / "cache" / "calibration.json"
    )
    for count in (6, 12):
        assert calibrate(layers(), 32, mx.float32).keys() == layers().keys()
        assert len(measured) == count
    write_calibrations({"a": {"resident": 1.0}})
    assert read_calibrations() == {}


@pytest.mark.parametrize(("rows", "modes"), [(256, set(MATMUL_MODES)), (512, {"transient", "resident"})])
def test_cuda_tries_packed_products_of_few_rows_only(
    measured: Calls, monkeypatch: pytest.MonkeyPatch, rows: int, modes: set[str]
) -> None:
    """It would take tens of seconds to compile them."""
    monkeypatch.setattr(calibration, "is_cpu", lambda: False)
    monkeypatch.setattr(calibration, "is_cuda", lambda: True)
    for times in calibrate(layers(), rows, mx.float32).values():
        assert times.keys() == modes
    assert {rows for _way, rows in measured} == {rows}
    calibrate(layers(), rows, mx.float32)
    assert len(measured) == 2 * len(modes)
