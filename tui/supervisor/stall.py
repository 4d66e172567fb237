"""Tells a run that has stopped dead from one that is slow.

The sign of life is `training_state.json`, rewritten about once a second while
steps or validation batches are made, or after each of them where they take longer.
A run on several cards also gives one several times a second on a pipe, whatever it does:
a card waits for ever for one that is gone, and may hold all of the process up.
"""

import json
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.files import read_own
from tui.supervisor.child import OVER

if TYPE_CHECKING:
    import psutil

LEAST_S = 300.0
"""Shortest silence that may count as a stall, in seconds; the environment may set another."""
LEAST_VARIABLE = "MQLORA_STALL_SECONDS"
_USUAL_TIMES = 30
"""Silence in multiples of the usual time between two signs."""
_UNKNOWN_TIMES = 6
"""Multiples of the shortest silence while the usual time is not known: the first step may compile."""
_BUSY_TIMES = 10
"""Multiples of the limit granted to a process that computes: it is slow, not dead."""
BUSY_SHARE = 0.1
"""Share of a core above which a process computes; the app alone takes less."""
_SAMPLES = 20
"""Looks at whether a process would compute if it were given a core, of which half have to find that."""
_KNOWN = 3
_REMEMBERED = 100
BEATLESS_S = 30.0
"""Seconds without a sign on the pipe that mean a standstill, after the first sign and before the last."""
_LOOKS = 60
"""Looks within the shortest silence."""


def least_silence() -> float | None:
    """Return the shortest silence that may count as a stall, in seconds; None if it is set to nonsense."""
    try:
        seconds = float(os.environ.get(LEAST_VARIABLE) or LEAST_S)
    except ValueError:
        return None
    return seconds if 0 < seconds < float("inf") else None


class StallDetector(threading.Thread):
    """Ends a child that trains but gives no sign of life any more."""

    def __init__(self, state_file: Path, pid: int, least_s: float, beats: int) -> None:
        """Prepare to watch process `pid`.

        Args:
            state_file: describes the run.
            pid: the process that may make it.
            least_s: shortest silence that may count as a stall, in seconds.
            beats: descriptor, not blocking, of what `tui.supervisor.child.beat` writes.
        """
        super().__init__(daemon=True, name="watchdog")
        self._state_file = state_file
        self._pid = pid
        self._least, self._beats = least_s, beats
        self._beat_at: float | None = None
        """When there was a sign on the pipe; None before the first and after the last."""
        self._stopped = threading.Event()
        self._gaps: list[float] = []
        self._sign: Any = None
        self._signed_at = time.monotonic()
        self.stalled_s: float | None = None
        """Seconds of silence after which the child was ended; None if it was not."""

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()

    def run(self) -> None:
        """Look until stopped or until the child has to be ended."""
        pause = min(5.0, self._least / _LOOKS)
        looked_at = time.monotonic()
        while not self._stopped.wait(pause):
            moment = time.monotonic()
            if moment - looked_at > 5 * pause + 1:  # this process did not run either: Ctrl+Z, sleep
                self._signed_at = moment
                self._beat_at = self._beat_at and moment
            looked_at = moment
            if (beatless := self._beatless(moment)) > BEATLESS_S:
                self._end(beatless)
                return
            self._look(moment)
            silence = moment - self._signed_at
            if self._sign and silence > self._limit() and not self._is_busy(silence):
                self._end(silence)
                return

    def _beatless(self, moment: float) -> float:
        """Return how long the child has let none of its threads run, in seconds."""
        with suppress(BlockingIOError):
            self._beat_at = None if os.read(self._beats, 1 << 16).endswith(OVER) else moment
        if self._beat_at and moment - self._beat_at > BEATLESS_S and _is_stopped(self._pid):
            self._beat_at = moment
        return moment - self._beat_at if self._beat_at else 0.0

    def _look(self, moment: float) -> None:
        sign = self._read()
        if sign == self._sign and sign is not None:
            return
        if sign and self._sign:
            self._gaps = [*self._gaps[-_REMEMBERED:], moment - self._signed_at]
        self._sign, self._signed_at = sign, moment

    def _read(self) -> Any:
        """Return what changes with each sign of life; None while the child is not training."""
        try:
            state = json.loads(read_own(self._state_file))
            if state["status"] != "running" or state["pid"] != self._pid:
                return None
            return self._state_file.stat().st_mtime_ns, state["step"]
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _limit(self) -> float:
        if len(self._gaps) < _KNOWN:
            return _UNKNOWN_TIMES * self._least
        return max(self._least, _USUAL_TIMES * sorted(self._gaps)[len(self._gaps) // 2])

    def _is_busy(self, silence: float) -> bool:
        """Whether the child computes, and has not done so for far too long, or was stopped by somebody."""
        import psutil  # only now: the supervisor starts before it is needed

        try:
            process = psutil.Process(self._pid)
            if _is_stopped(self._pid):
                return True
            before = sum(process.cpu_times()[:2])
            pause, runnable = min(10.0, self._least / 2), 0
            for _sample in range(_SAMPLES):
                self._stopped.wait(pause / _SAMPLES)
                runnable += self._is_runnable(process)
            used = sum(process.cpu_times()[:2]) - before
        except (psutil.Error, OSError):
            return True  # it has just ended by itself
        computes = used > BUSY_SHARE * pause or runnable > _SAMPLES / 2
        return computes and silence < _BUSY_TIMES * self._limit()

    def _is_runnable(self, process: "psutil.Process") -> bool:
        """Whether a thread of the child has a core or waits for one, as all do on a busy machine.

        Raises:
            OSError: it has ended.
        """
        if sys.platform != "linux":
            return bool(process.status() == "running")
        stats = Path(f"/proc/{self._pid}/task").glob("*/stat")
        return any(stat.read_text().rpartition(")")[2].split()[0] == "R" for stat in stats)

    def _end(self, silence: float) -> None:
        import psutil

        self.stalled_s = silence
        with suppress(psutil.Error, OSError):
            child = psutil.Process(self._pid)
            others = child.children(recursive=True)  # what it waits for may wait for it
            os.kill(self._pid, signal.SIGUSR1)  # the stacks of its threads go to the log
            self._stopped.wait(1.0)
            os.kill(self._pid, signal.SIGKILL)
            for other in others:
                with suppress(psutil.Error):
                    other.kill()


def _is_stopped(pid: int) -> bool:
    """Whether somebody has stopped a process, by Ctrl+Z for example, or it has just ended."""
    import psutil  # only now: the supervisor starts before it is needed

    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    except psutil.Error:
        return True
