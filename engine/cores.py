"""Which of a machine's processor cores this process may use, and for how much of the time."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def own_cores() -> frozenset[int]:
    """Return the numbers of the cores that this process may run on; all where the system does not tell."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


def core_count(cgroup: Path = _CGROUP) -> int:
    """Return how many threads can compute at the same time: one a core, or what a container's quota allows.

    Under a quota a container with more threads than that is stopped for a part of each tenth of a second.

    Args:
        cgroup: where Linux tells the limits of the container; for tests.
    """
    return max(1, min([len(own_cores()), *map(int, _quotas(cgroup))]))


def _quotas(cgroup: Path) -> Iterator[float]:
    """Yield the cores' worth of time that a container has; nothing where it is not limited.

    As version 2 of Linux's cgroups writes it, in `cpu.max`, and version 1.
    """
    old = cgroup / "cpu"
    for files in ([cgroup / "cpu.max"], [old / "cpu.cfs_quota_us", old / "cpu.cfs_period_us"]):
        with suppress(OSError, ValueError):  # there is none, or "max"; -1 is none either
            quota, period = (int(word) for file in files for word in file.read_text().split())
            if quota > 0 < period:
                yield quota / period
