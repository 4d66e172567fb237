"""The results of looking at this machine."""

from dataclasses import dataclass
from typing import Literal

CheckStatus = Literal["ok", "warning", "error"]
Accelerator = Literal["metal", "cuda", "cpu"]

ORDER = ("chip", "memory", "disk", "python", "mlx", "blas", "weights", "model", "data", "power", "terminal")
"""Ids of the checks, as a report lists them."""


@dataclass(frozen=True)
class Check:
    """One thing looked at."""

    id: str
    """Stable name; in a hardware report one of `ORDER`."""
    label: str
    """Short translated name for the first column."""
    value: str
    """What was found, in one line with units."""
    status: CheckStatus
    detail: str = ""
    """One sentence on what is wrong, or advised where the status is ok; empty if there is nothing to say."""
    fix: str = ""
    """What to do about it, as an imperative; empty when nothing is to be done."""


@dataclass(frozen=True)
class HardwareReport:
    """Everything the first screen shows and the recommendation rests on."""

    checks: tuple[Check, ...]
    memory_total: int
    """Physical memory, bytes."""
    memory_available: int
    """Memory that can be had without swapping, bytes; what this process holds counts as available."""
    disk_free: int
    """Free bytes where checkpoints go."""
    accelerator: Accelerator
    device: str
    """In words, such as "Apple M2 Pro, 19 GPU cores" or "AMD EPYC, 2 cores"."""
    gpu_memory: int | None = None
    """Bytes a GPU may use: Metal's recommended working set, or what is free on a CUDA card."""

    @property
    def status(self) -> CheckStatus:
        """The worst status among the checks."""
        found = {check.status for check in self.checks}
        return "error" if "error" in found else "warning" if "warning" in found else "ok"
