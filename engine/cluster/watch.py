"""What tells that a process of a run is gone: its end, its silence, or that it keeps all others waiting."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from engine.cluster.channel import CLOSED, Message
from engine.cluster.peer import Peer

SILENCE_S = 20.0
"""Seconds without a sign of life after which a process counts as gone; it gives one each second."""
FIRST_SILENCE_S = 45.0
"""The same until all are connected: libraries that load, and MLX while it connects, let no thread run."""
START_S = 180.0
"""Seconds that a process may take to start, before it gives the first sign: imports from a slow disk."""
LEAST_SUM_S = 30.0
"""Seconds that a sum may take at least, once all take part in it."""
LEAST_STEP_S = 600.0
"""Seconds that another process may compute at least, before it takes part or answers: the first step
compiles."""
_LONGER = 10.0
"""Times the longest one so far that one may take."""
IN_SUM = "sum"
"""What a process is doing while it waits for the sum."""
PREPARING = "preparing"
"""What it is doing until it is ready to connect; a large model on a slow disk takes its time."""
WAITING = "waiting"
"""What it is doing while others are late, or until it is told what to do."""
_LOOK_S = 0.25
_AWAKE_S = 5.0
"""Seconds that this process has to have run, not stopped by Ctrl+Z, before silence is another one's."""


Beat = Callable[[bool], None]
"""Tells whoever watches over this process that its threads run; with True, that silence means nothing now."""


class Watch:
    """Looks after the other processes, on a thread of its own, while this one waits for them or computes."""

    def __init__(self, beat: Beat) -> None:
        """Look at nothing yet.

        Args:
            beat: called at each look from when all are connected, and once with True at the end.
        """
        self._beat = beat
        self.are_connected = False
        """Whether all processes have found each other."""
        self._ended, self._is_out = threading.Event(), threading.Event()
        self._is_out.set()
        self._sum_since: float | None = None
        self._longest_sum = 0.0
        self._asked_since: float | None = None

    def begin(self, peers: Sequence[Peer], lose: Callable[[Peer, Message], None]) -> None:
        """Look at `peers` from now on, until `end`; `lose` is called with one that is gone, and why."""
        threading.Thread(target=self._watch, args=(peers, lose), daemon=True, name="team").start()

    def end(self) -> None:
        """Look no more."""
        self._ended.set()
        self._beat(True)

    @property
    def is_over(self) -> bool:
        """Whether `end` was called."""
        return self._ended.is_set()

    def wait_for_sum(self, seconds: float) -> bool:
        """Return whether no sum, and no connection, is waited for any more, after `seconds` at the latest."""
        return self._is_out.wait(seconds)

    @contextmanager
    def summing(self) -> Iterator[None]:
        """Let it be watched how long what all do together takes."""
        self._sum_since = begin = time.monotonic()
        self._is_out.clear()
        try:
            yield
            if self.are_connected:
                self._longest_sum = max(self._longest_sum, time.monotonic() - begin)
        finally:
            self._sum_since = None
            self._is_out.set()

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Let it be watched how long the others take to answer."""
        self.answered()
        try:
            yield
        finally:
            self._asked_since = None

    def answered(self) -> None:
        """Count from now: somebody answers."""
        self._asked_since = time.monotonic()

    def _watch(self, peers: Sequence[Peer], lose: Callable[[Peer, Message], None]) -> None:
        looked = awake = time.monotonic()
        while not self._ended.wait(_LOOK_S):
            now = time.monotonic()
            if now - looked > _AWAKE_S:  # this process was stopped: what came meanwhile is to be read first
                awake = now
            looked = now
            if self.are_connected:
                self._beat(False)
            for peer in peers:
                if peer.channel.is_closed or peer.exit_code is not None:
                    lose(peer, CLOSED)
                elif peer.channel.silence > self._limit(peer) and now - awake > _AWAKE_S:
                    lose(peer, {"kind": "silent"})
                elif self._is_too_long(peer, now, awake):
                    lose(peer, {"kind": "stuck"})

    def _limit(self, peer: Peer) -> float:
        if peer.channel.was_heard or peer.is_stopped:
            return SILENCE_S if self.are_connected else FIRST_SILENCE_S
        return START_S

    def _is_too_long(self, peer: Peer, now: float, awake: float) -> bool:
        """Return whether a process keeps this one waiting too long; this one runs since `awake`."""
        phase, asked, since = peer.channel.their_phase, self._asked_since, self._sum_since
        if phase == WAITING:
            return False
        if asked is not None and phase != PREPARING:
            return now - max(asked, awake) > LEAST_STEP_S
        least = LEAST_SUM_S if phase == IN_SUM else LEAST_STEP_S
        return since is not None and now - max(since, awake) > max(least, _LONGER * self._longest_sum)
