"""How many threads a product has on a CPU: all cores, less those that something else needs.

OpenBLAS's threads wait for each other by spinning, so a core that another program takes holds up
every product: on two cores training ran a third faster with two threads than with one when nothing
else did, and at a third of the speed when something did. What others need changes, so it is measured
while a run goes on.

Products come out the same to the last bit with any number of threads. Some that add up over more than
384 tokens do not, of a micro-batch or of a row in attention; those over a model's width do. Runs that are
compared byte by byte keep one number: `engine.blas.fixed_threads`.
"""

import math
import sys
import time
from collections.abc import Callable, Set
from contextlib import suppress
from dataclasses import dataclass

from engine.blas import are_threads_given, set_threads
from engine.cores import core_count, own_cores

import psutil

_INTERVAL_S = 0.5
"""Times of the system come in hundredths of a second: over less of it they say little."""
_TAKEN = 0.3
"""Share of a core that others may need before it is left to them."""


@dataclass(frozen=True)
class Times:
    """Seconds until now."""

    clock: float
    idle: float
    """Of all cores that this process may have."""
    own: float
    """Of this process, on any core."""


def now(cores: Set[int]) -> Times:
    """Return the times of these cores and of this process.

    Where the system lists others, as it does in some containers, those that it lists are this process's.
    """
    each, own = psutil.cpu_times(percpu=True), psutil.Process().cpu_times()
    listed = [each[core] for core in cores] if max(cores) < len(each) else each
    idle = sum(times.idle + times.iowait for times in listed)
    return Times(time.monotonic(), idle, own.user + own.system)


class ThreadCount:
    """Follows what other programs need, from one call of `adapt` to the next."""

    def __init__(
        self, cores: Set[int], now: Callable[[Set[int]], Times] = now, most: int | None = None
    ) -> None:
        """Begin to measure.

        Args:
            cores: that this process may have, by their number.
            now: tells the times.
            most: threads at any time; None for one on each core.
        """
        self._cores, self._now = cores, now
        self._most = most or len(cores)
        self._before = now(cores)

    def adapt(self) -> int | None:
        """Return the threads to be had from now on; None where nothing new is known."""
        now, before = self._now(self._cores), self._before
        seconds = now.clock - before.clock
        if seconds < _INTERVAL_S:
            return None
        self._before = now
        to_be_had = (now.idle - before.idle + now.own - before.own) / seconds
        return min(self._most, max(1, math.floor(to_be_had + _TAKEN)))


_count: ThreadCount | None = None
"""Of this process: its products share one number of threads."""


def adapt_threads() -> None:
    """Give products as many threads as there are cores to be had, unless the user has said how many.

    Where the system does not tell what is to be had, their number stays.
    """
    global _count
    if are_threads_given() or sys.platform == "darwin":  # where Apple's library chooses them
        return
    with suppress(OSError, psutil.Error):
        if _count is None:
            _count = ThreadCount(own_cores(), most=core_count())
        elif threads := _count.adapt():
            set_threads(threads)
