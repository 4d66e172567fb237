"""The memory that MLX computes in, and its cache."""

from engine.backend import mx
from engine.memory.predict import MemoryBudget
from engine.training import memory_limits
from engine.training.memory_limits import limit_cache, read_budget

import psutil
import pytest

GB = 1_000_000_000


def as_device(monkeypatch: pytest.MonkeyPatch, kind: str, **info: int) -> None:
    """Let MLX compute on a CPU, with Metal or with CUDA."""
    monkeypatch.setattr(memory_limits, "is_cpu", lambda: kind == "cpu")
    monkeypatch.setattr(mx.metal, "is_available", lambda: kind == "metal")
    monkeypatch.setattr(mx, "device_info", lambda: info)


def test_a_cpu_has_the_machines_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never more than there is."""
    as_device(monkeypatch, "cpu")
    found = read_budget()
    assert found.device == "cpu"
    assert 0 < found.free <= found.total <= psutil.virtual_memory().total


def test_metal_shares_the_machines_memory_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit can be raised, so it bounds what is free and not what there is."""
    as_device(monkeypatch, "metal", max_recommended_working_set_size=1_000_000)
    found = read_budget()
    assert (found.device, found.free) == ("gpu", 1_000_000)
    assert found.total > GB


def test_a_cuda_card_has_its_own_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program may hold some of it."""
    as_device(monkeypatch, "cuda", total_memory=80 * GB, free_memory=70 * GB)
    monkeypatch.setattr(mx, "get_active_memory", lambda: 3 * GB)
    monkeypatch.setattr(mx, "get_cache_memory", lambda: GB)
    assert read_budget() == MemoryBudget("gpu", 74 * GB, 80 * GB), "what this process holds counts as free"
    as_device(monkeypatch, "cuda", total_memory=80 * GB)
    assert read_budget() == MemoryBudget("gpu", 80 * GB, 80 * GB)
    assert read_budget(limit_gb=24) == MemoryBudget("gpu", 24 * GB, 24 * GB), "what the configuration allows"


@pytest.mark.parametrize(("kind", "share"), [("metal", 0.25), ("cuda", 0.5)])
def test_the_cache_keeps_a_share_of_what_is_free(
    monkeypatch: pytest.MonkeyPatch, kind: str, share: float
) -> None:
    """Less where other programs live in the same memory."""
    limits: list[int] = []
    monkeypatch.setattr(mx, "set_cache_limit", limits.append)
    as_device(monkeypatch, kind)
    limit_cache(MemoryBudget("gpu", 40 * GB, 64 * GB))
    assert limits == [share * 40 * GB]


def test_a_cpus_small_cache_is_not_raised() -> None:
    """It keeps 32 MiB, as MLX sets it."""
    before = mx.set_cache_limit(1 << 25)
    limit_cache(MemoryBudget("cpu", 40 * GB, 64 * GB))
    assert mx.set_cache_limit(before) == 1 << 25
