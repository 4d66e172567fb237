"""How much work a CUDA card is handed at once, and the memory that is counted for it."""

import json
import os
from pathlib import Path

from engine import backend
from engine.backend import UNLIMITED, bytes_in_flight, mx, tune_launches
from engine.dataset.batches.cut import BatchShape
from engine.memory.predict import MemoryBudget
from engine.training.execution_plan import USABLE, is_short_of_memory
from tests.support.architectures import SIZES
from tests.support.tiny import RUN

import pytest

VARIABLE = "MLX_MAX_MB_PER_BUFFER"
SHAPE = BatchShape.full(4, 512, 256)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """What MLX finds in the environment when it reads it, as if there were a card."""
    seen: list[str | None] = []
    monkeypatch.setattr(backend, "is_cuda", lambda: True)
    monkeypatch.setattr(backend, "_portion_mb", None)
    monkeypatch.setattr(mx, "eval", lambda *_arrays: seen.append(os.environ.get(VARIABLE)))
    monkeypatch.delenv(VARIABLE, raising=False)
    return seen


@pytest.mark.parametrize(
    ("tokens", "is_short", "megabytes"), [(2048, False, UNLIMITED), (2048, True, 300), (8192, False, 300)]
)
def test_portions_are_small_for_many_tokens_and_for_little_memory(
    told: list[str | None], tokens: int, is_short: bool, megabytes: int
) -> None:
    """What is counted for them is that of the portions that MLX was told of, in this process alone."""
    tune_launches(tokens, is_short)
    assert told == [str(megabytes)] and VARIABLE not in os.environ
    assert bytes_in_flight(10**15) == int(4.5e6 * megabytes)
    assert bytes_in_flight(1000) == 1500


def test_mlx_reads_the_size_of_a_portion_once(told: list[str | None]) -> None:
    """So a second run in the same process counts with that of the first."""
    tune_launches(2048, True)
    tune_launches(2048, False)
    assert bytes_in_flight(10**15) == int(4.5e6 * 300)


def test_the_users_own_portions_stay_and_are_counted(
    told: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "50")
    tune_launches(2048)
    assert told == ["50"] and os.environ[VARIABLE] == "50"
    assert bytes_in_flight(10**15) == int(4.5e6 * 50)


def test_memory_is_short_where_large_portions_leave_no_room(
    told: list[str | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are the whole difference: one and a half times what the layers keep."""
    (tmp_path / "config.json").write_text(json.dumps(SIZES | {"num_hidden_layers": 8}))
    with_portions = most_that_is_short(tmp_path)
    activations: list[int] = []

    def nothing(kept: int, megabytes: int) -> int:
        assert megabytes == UNLIMITED
        activations.append(kept)
        return 0

    monkeypatch.setattr("engine.training.execution_plan.bytes_in_flight", nothing)
    without = most_that_is_short(tmp_path)
    assert (with_portions - without) * USABLE == pytest.approx(1.5 * activations[0], abs=2)


def most_that_is_short(folder: Path) -> int:
    """Return the most free bytes with which memory is short."""
    low, high = 0, 10**12
    while high - low > 1:
        middle = (low + high) // 2
        budget = MemoryBudget("gpu", middle, middle)
        low, high = (middle, high) if is_short_of_memory(folder, RUN, SHAPE, budget) else (low, middle)
    assert 0 < low < 10**12 - 1
    return low


def test_a_cpu_has_nothing_in_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is handed what it computes, and no variable is set for it."""
    monkeypatch.setattr(backend, "is_cuda", lambda: False)
    tune_launches(2048, True)
    assert bytes_in_flight(10**15, 300) == 0 and VARIABLE not in os.environ
