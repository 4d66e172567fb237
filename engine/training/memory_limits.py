"""How much memory MLX may take on this machine, and how much of it may lie idle in its cache."""

import ctypes
import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager

from engine.backend import is_cpu, mx
from engine.hardware.storage import read_memory
from engine.memory.predict import MemoryBudget

_GIVE_BACK_S = 60.0
# A Mac's other programs live in the same memory, so less of it may lie idle; a card's is the run's own.
_CACHE_SHARE_OF_METAL, _CACHE_SHARE_OF_CARD = 0.25, 0.5


def read_budget(limit_gb: float = 0.0) -> MemoryBudget:
    """Measure the memory that MLX computes in: the machine's own, or that of a CUDA card.

    What this process holds counts as free.

    Args:
        limit_gb: take no more than so much, 1e9 bytes; 0 takes what there is.
    """
    budget = _whole_budget()
    limit = int(limit_gb * 1e9) or budget.total
    return MemoryBudget(budget.device, min(budget.free, limit), min(budget.total, limit))


def _whole_budget() -> MemoryBudget:
    memory = read_memory()
    info = mx.device_info()
    if is_cpu():
        return MemoryBudget("cpu", memory.obtainable, memory.total)
    if mx.metal.is_available():
        # The share that Metal keeps resident can be raised by the user: it does not limit the total.
        wired = int(info["max_recommended_working_set_size"])
        return MemoryBudget("gpu", min(memory.obtainable, wired), memory.total)
    total = int(info.get("total_memory", memory.total))
    held = mx.get_active_memory() + mx.get_cache_memory()
    return MemoryBudget("gpu", min(total, int(info.get("free_memory", total)) + held), total)


@contextmanager
def limits_restored() -> Iterator[None]:
    """Give back what a run took when it is over: its memory and the limits it set."""
    before = mx.get_memory_limit()
    try:
        yield
    finally:
        gc.collect()  # a model's custom functions and layers refer to each other
        mx.clear_cache()
        mx.set_memory_limit(before)


class FreedMemory:
    """Gives what a run has freed back to the system now and then.

    On Linux MLX takes the arrays of a CPU from the C library, which keeps what is freed. Arrays of many
    sizes leave gaps between each other: what is in use stayed the same, what the process held grew.
    """

    def __init__(self) -> None:
        """Give back nothing yet."""
        self._last = time.monotonic()
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if is_cpu() else None

    def give_back(self) -> None:
        """Do so if that was not done for a minute; call it between steps."""
        if self._trim and time.monotonic() - self._last > _GIVE_BACK_S:
            self._trim(0)  # glibc alone has it
            self._last = time.monotonic()


def limit_cache(budget: MemoryBudget) -> None:
    """Let MLX keep at most a share of a GPU's room in freed buffers.

    MLX keeps the buffers it frees for later arrays of the same size, by default up to
    nearly all memory, and `mx.get_peak_memory` does not count them. Each length that
    rows are padded to leaves buffers of its own, so over many steps the machine fills
    and swaps while the peak looks flat. Without any, a step would ask the driver anew
    for every buffer; what a step frees fits into the share unless memory is short anyway.
    On a CPU MLX keeps 32 MiB, and more made no step faster.
    """
    if not is_cpu():
        share = _CACHE_SHARE_OF_METAL if mx.metal.is_available() else _CACHE_SHARE_OF_CARD
        mx.set_cache_limit(int(budget.free * share))
