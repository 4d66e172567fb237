"""What every test needs: nothing of this machine's cache, and property tests that do not depend on chance."""

import gc
import logging
import os
import signal
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path

# Where PyTorch is installed tests compare with it; once it is in use transformers may find it, too.
with suppress(ImportError):
    import torch  # noqa: F401

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ("tests.campaigns.plugin", "tests.support.pictures")

# Whatever the developer reads, tests look for English texts; `tests/tui/test_portuguese.py` asks for others.
os.environ.setdefault("MQLORA_LANG", "en")

# The same examples every time, and no limit by the clock: a busy machine breaks no promise of ours.
# Other examples are drawn with HYPOTHESIS_PROFILE=random.
_UNTIMED = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
settings.register_profile("fixed", _UNTIMED, derandomize=True)
settings.register_profile("random", _UNTIMED)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))

# Programs that tests start shall know hang-ups and Ctrl+C, also where the tests were started with nohup
# or in the background of a shell.
for _number in (signal.SIGHUP, signal.SIGINT):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL)


def pytest_collection_finish() -> None:
    """Let the garbage collector look at what tests make, not at the thousands of tests themselves.

    It went through them again and again: a third of the processor time of the app's tests.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(5000, 10, 10)


@pytest.fixture(autouse=True)
def _own_logging() -> Generator[None, None, None]:
    """What a command that runs in this process sets for all logging, put back for the next test.

    pytest puts back how warnings are shown after each test; logging would go on taking them for caught.
    """
    factory = logging.getLogRecordFactory()
    yield
    logging.captureWarnings(False)
    logging.setLogRecordFactory(factory)


@pytest.fixture(autouse=True)
def _own_settings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder for the app's settings of this test's own, for child processes too."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))


@pytest.fixture(autouse=True)
def calibrations(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file for measured speeds of this test's own; child processes keep the machine's."""
    path = tmp_path_factory.mktemp("cache") / "calibration.json"
    monkeypatch.setattr("engine.model.matmul_timings.calibration_file", lambda: path)
    return path
