"""What every test needs: nothing of this machine's cache."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def calibrations(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file for measured speeds of this test's own; child processes keep the machine's."""
    path = tmp_path_factory.mktemp("cache") / "calibration.json"
    monkeypatch.setattr("engine.calibrations._file", lambda: path)
    return path
