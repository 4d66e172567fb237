"""How long an app on a terminal keeps its user waiting by its own fault, on a machine that may be busy.

A wait is the program's own as far as its thread of the screen computes, and as far as its threads do not
wait for a core, as where this thread waits for a lock or a file. Linux counts both for each thread: the
nanoseconds on a core, and those in the queue for one (schedstat). The latter are added up: whoever is in the
queue may have Python's lock, for which the thread of the screen waits. On a quiet machine they are nothing.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

from tests.support.terminal import Terminal

import psutil

MOST_S = 1.0
"""Longer than this nobody waits without asking whether the program has died."""
_COMPUTED, _QUEUED = 0, 1


class Pace:
    """The longest silence of an app that was its own fault; none where the system does not count."""

    def __init__(self) -> None:
        self.longest_s = 0.0

    def watching(self, terminal: Terminal, holds: Callable[[], bool]) -> Callable[[], bool]:
        """Return `holds` for `Terminal.wait_until`, measuring the silences at each look.

        Raises:
            AssertionError: one was too long; raised by what is returned.
        """
        silence = _Silence(terminal)

        def look() -> bool:
            if holds():
                return True
            silence.look()
            self.longest_s = max(self.longest_s, silence.own_s)
            assert silence.own_s < MOST_S, f"the app says nothing by its own fault: {silence.counts}"
            return False

        return look


class _Silence:
    """The time since the last output."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._app = next(iter(psutil.Process(terminal.pid).children()), None)
        """The app; its parent is the supervisor."""
        self._restart()

    def look(self) -> None:
        """Measure anew; the silence ends with any output."""
        if self._terminal.written != self._written or not self._terminal.is_full_screen:
            self._restart()  # nobody waits for an app that has left the terminal, or lent it to an editor
            return
        now = _counts(self._app)
        since = {thread: [after - before for after, before in zip(counts, self._counts[thread], strict=True)]
                 for thread, counts in now.items() if thread in self._counts}  # fmt: skip
        if self._app is None or self._app.pid not in since:
            return
        waited = time.monotonic() - self._began
        queued = sum(counts[_QUEUED] for counts in since.values())
        computed = since[self._app.pid][_COMPUTED]
        self.own_s = max(computed, waited - queued)
        self.counts = f"{computed:.2f} s computed, {queued:.2f} of {waited:.2f} s without a core"

    def _restart(self) -> None:
        self._written, self._began = self._terminal.written, time.monotonic()
        self._counts, self.own_s, self.counts = _counts(self._app), 0.0, ""


def _counts(process: psutil.Process | None) -> dict[int, list[float]]:
    """Return for each thread the seconds on a core and in the queue for one."""
    if process is None:
        return {}
    found, tasks = {}, Path(f"/proc/{process.pid}/task")
    try:
        threads = os.listdir(tasks)
    except OSError:  # the app has just ended
        return {}
    for thread in threads:
        try:
            words = (tasks / thread / "schedstat").read_text().split()
            found[int(thread)] = [int(word) / 1e9 for word in words[:2]]
        except (OSError, ValueError):  # the thread has just ended
            continue
    return found
