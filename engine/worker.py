"""The one thread that owns MLX: its streams are thread-local, so load, train and chat share it."""

import os
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from threading import Event, RLock, get_native_id
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
_NICE = 5
"""What is added to the thread's niceness, which the system bounds."""
MOMENT_S = 0.5
"""Longest wait for a job that has nothing to save, in seconds."""


class EngineThread:
    """Runs jobs one after the other on a thread of its own."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="engine", initializer=_give_way)
        self._waiting: dict[Future[object], bool] = {}
        """Jobs that run or wait, and whether each may be left unfinished."""
        self._lock = RLock()  # held again by a job that ends within `submit`
        self.stop_event = Event()
        """Set it to ask the running job to stop; the next `submit` clears it."""
        self.idle = Event()
        """Set while no job is running or waiting."""
        self.idle.set()
        self.leavable = Event()
        """Set while no job is running or waiting that has something to save."""
        self.leavable.set()

    def submit(self, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Queue a job; its result or exception arrives in the future."""
        return self._submit(False, job, *args, **kwargs)

    def submit_leavable(self, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Queue a job that has nothing to save: `close` waits for it only a moment."""
        return self._submit(True, job, *args, **kwargs)

    def close(self, timeout: float = 60.0) -> bool:
        """Ask the running job to stop, wait for it and end the thread.

        MLX's streams are cleared on the thread itself; without that the
        interpreter may abort at exit (streams outlive their thread).

        Returns:
            Whether the running job ended within `timeout` seconds, or within a moment if it has
            nothing to save. If not, the interpreter would wait for it at its exit: end it with `os._exit`.
        """
        self.stop_event.set()
        ended = self.leavable.wait(timeout) and self.idle.wait(min(timeout, MOMENT_S))
        if ended:
            self._pool.submit(_clear_streams).result()
        self._pool.shutdown(wait=False, cancel_futures=True)
        return ended

    def _submit(self, leavable: bool, job: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        with self._lock:
            if self.idle.is_set():
                self.stop_event.clear()
            future = self._pool.submit(job, *args, **kwargs)
            self.idle.clear()
            if not leavable:
                self.leavable.clear()
            self._waiting[future] = leavable  # type: ignore[index]
            future.add_done_callback(self._done)
        return future

    def _done(self, future: "Future[T]") -> None:
        with self._lock:
            self._waiting.pop(future, None)  # type: ignore[arg-type]
            if all(self._waiting.values()):
                self.leavable.set()
            if not self._waiting:
                self.idle.set()


def _give_way() -> None:
    """Let the thread of the screen come first on a busy core, and with it keys.

    Threads that this one starts, as OpenBLAS does, have its priority. Only Linux has one for each thread.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            own = get_native_id()
            os.setpriority(os.PRIO_PROCESS, own, os.getpriority(os.PRIO_PROCESS, own) + _NICE)


def _clear_streams() -> None:
    if "mlx.core" in sys.modules:
        from engine.backend import mx

        mx.clear_streams()
