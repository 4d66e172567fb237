"""A tracker as the run sees it: something that takes what it is told at once, or fails by itself."""

import json
import os
import signal
import threading
from contextlib import suppress
from queue import Full, Queue
from typing import Any

from engine import child_process
from engine.config import TrackerName
from engine.errors import system_reason
from engine.i18n import _
from engine.sanitize import one_line

CHILD = ("-m", "engine.trackers.child")
MOST_WAITING = 10_000
"""Messages that wait for a tracker; about 3 MB."""
LIMIT_S = 60.0
"""Seconds that a tracker has at the end of a session to write what it was told."""


class Tracker:
    """Feeds a child process from a thread: a run waits for neither, except at its end, and not for ever."""

    def __init__(self, name: TrackerName, order: dict[str, Any]) -> None:
        """Start it.

        Args:
            name: which.
            order: see `engine.trackers.child.Feed`, without the name.
        """
        self.name: TrackerName = name
        self.failure = ""
        """Why it is to be left out, in words; it is told nothing more then."""
        self._waiting: Queue[bytes | None] = Queue(MOST_WAITING)
        self._lock = threading.Lock()
        self._process: child_process.Child | None = None
        self.tell(**order, name=name)
        self._thread = threading.Thread(target=self._feed, name=f"tracker-{name}", daemon=True)
        self._thread.start()

    def tell(self, **message: Any) -> None:
        """Pass on a message; see `engine.trackers.child`."""
        self._put(json.dumps(message).encode() + b"\n")

    def end(self, is_finished: bool, limit_s: float | None = None) -> None:
        """Let it write what it was told, and wait for that.

        Args:
            is_finished: whether the run has reached its end.
            limit_s: seconds after which it is ended; None is `LIMIT_S`.
        """
        limit_s = LIMIT_S if limit_s is None else limit_s
        self.tell(end=is_finished)
        self.abandon()
        self._thread.join(limit_s)
        if self._thread.is_alive():
            self._fail(_("it did not end within {n:.0f} s").format(n=limit_s))

    def abandon(self) -> None:
        """Tell it nothing more; it ends by itself, and nobody waits for that."""
        self._put(None)

    def _put(self, line: bytes | None) -> None:
        if self.failure:
            return
        try:
            self._waiting.put_nowait(line)
        except Full:
            self._fail(_("it takes in nothing any more"))

    def _fail(self, reason: str) -> None:
        """Give it up and end its process, if it has one."""
        with self._lock:
            self.failure = self.failure or reason
            if self._process and self._process.poll() is None:
                with suppress(OSError):
                    os.killpg(self._process.pid, signal.SIGKILL)

    # On its own thread

    def _feed(self) -> None:
        try:
            process = child_process.start(CHILD)
        except OSError as error:
            self._fail(system_reason(error))
            return
        with process:
            with self._lock:
                self._process = process
                has_failed = bool(self.failure)
            if has_failed:
                process.kill()
            if reason := self._spoken(process):
                self._fail(reason)  # which also ends what its library left running

    def _spoken(self, process: child_process.Child) -> str:
        """Write what is told until the end, and return why the child failed, or nothing."""
        assert process.stdin is not None and process.stdout is not None
        with suppress(OSError):  # a child that has ended takes nothing
            while (line := self._waiting.get()) is not None:
                process.stdin.write(line)
                process.stdin.flush()
        with suppress(OSError):
            process.stdin.close()
        answer = next(child_process.messages(process.stdout), {})
        if answer.get("done"):
            return ""
        return one_line(str(answer.get("failed") or _("its process ended unexpectedly")), 300)
