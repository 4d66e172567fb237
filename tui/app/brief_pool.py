"""The threads of the app's checks: leaving waits for them only a moment."""

from concurrent import futures
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

MOMENT_S = 1.0
"""Longest wait for them at the end, in seconds: none of them has anything to save."""


class BriefPool(ThreadPoolExecutor):
    """Runs what a model's or a data file's owner may have made endless; asyncio's own pool waits for it."""

    def __init__(self) -> None:
        """Make a pool of the size that asyncio's has."""
        super().__init__(thread_name_prefix="checks")
        self._jobs: set[Future[Any]] = set()

    @property
    def is_busy(self) -> bool:
        """Whether something runs still; the interpreter would wait for it at its exit."""
        return bool(self._jobs)

    def submit(self, function: Any, /, *arguments: Any, **named: Any) -> Future[Any]:
        """Queue a job."""
        job = super().submit(function, *arguments, **named)
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)
        return job

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = True) -> None:
        """Take no more jobs, drop those that wait, and give those that run a moment."""
        super().shutdown(wait=False, cancel_futures=cancel_futures)
        if wait:
            futures.wait(set(self._jobs), MOMENT_S)
