"""What this machine is and whether it can train: one `Check` per thing looked at."""

from dataclasses import dataclass
from typing import Literal

CheckStatus = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Check:
    """One thing looked at."""

    id: str
    """Stable name: chip, memory, disk, python, mlx, blas, model, data, power, terminal."""
    label: str
    """Short translated name for the first column."""
    value: str
    """What was found, in one line with units."""
    status: CheckStatus
    detail: str = ""
    """One sentence on what is wrong; empty when all is well."""
    fix: str = ""
    """What to do about it, as an imperative; empty when nothing is to be done."""


@dataclass(frozen=True)
class HardwareReport:
    """Everything the first screen shows and the recommendation rests on."""

    checks: tuple[Check, ...]
    memory_total: int
    """Physical memory, bytes."""
    memory_available: int
    """Memory that can be had without swapping, bytes."""
    disk_free: int
    """Free bytes where checkpoints go."""
    accelerator: Literal["metal", "cuda", "cpu"]
    device: str
    """In words, such as "Apple M2 Pro, 19 GPU cores" or "AMD EPYC, 2 cores"."""

    @property
    def status(self) -> CheckStatus:
        """The worst status among the checks."""
        found = {check.status for check in self.checks}
        return "error" if "error" in found else "warning" if "warning" in found else "ok"
