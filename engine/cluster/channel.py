"""A line of JSON at a time between the owner of a run and another of its processes, with signs of life.

The lines go through the other process's standard input and output, which ssh carries where that one is
on another machine: nothing listens for them. Whatever the other side does, a reader is never held up.
"""

import json
import math
import os
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any

Message = dict[str, Any]
"""Its kind stands in `kind`."""
BEAT_S = 1.0
"""Seconds between two signs of life."""
OUT_OF_REACH_S = 45.0
"""Seconds without a sign of life after which a process ends whose owner is on another machine."""
BY_SSH = "SSH_CONNECTION"
"""Variable that a process has which was started through ssh."""
LONGEST = 1 << 22
"""Bytes of a line; a longer one ends the channel."""
_NOISE = 200
"""Bytes that are kept of what is no message."""
_BEAT = "beat"
_LOOK_S = 0.5
FAILED = "failed"
"""Kind of the message that tells why the other side ends."""
SCORED = "scored"
"""Kind of the messages that tell the loss of a micro-batch."""
AT_SUM = "at_sum"
"""Kind of the messages that tell that a process has what it adds to the sum; to it, that all have."""
CLOSED: Message = {"kind": "closed"}
"""What is received after the other side's last message."""


class Channel:
    """Both ends are alike: messages in and out, and when something was heard last."""

    def __init__(self, reading: IO[bytes], writing: IO[bytes], phase: Callable[[], str] = lambda: "") -> None:
        """Begin to read and to give signs of life.

        Args:
            reading: what the other side writes.
            writing: what it reads; unbuffered.
            phase: what this process is doing, to be told with each sign of life.
        """
        self._reading, self._writing, self._phase = reading, writing, phase
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._in_turn = threading.Lock()
        self._heard = time.monotonic()
        self.was_heard = False
        """Whether the other side has said anything yet; it has to be started first."""
        self._ended, self._read_all = threading.Event(), threading.Event()
        self._failure: Message | None = None
        self.their_phase = ""
        """What the other process was doing at its last sign of life."""
        self.noise = ""
        """The beginning of what came as the first line, where that was no message."""
        for work in (self._read, self._beat):
            threading.Thread(target=work, daemon=True, name=f"channel{work.__name__}").start()

    @property
    def silence(self) -> float:
        """Seconds since something was heard."""
        return time.monotonic() - self._heard

    @property
    def is_closed(self) -> bool:
        """Whether the other side has gone, or what came from it was no message."""
        return self._ended.is_set()

    def send(self, kind: str, **values: Any) -> None:
        """Send a message; one that the other side can take no more is lost, and the channel says so."""
        line = json.dumps({"kind": kind, **values}).encode() + b"\n"
        try:
            with self._in_turn:
                self._writing.write(line)
                self._writing.flush()
        except (OSError, ValueError):  # gone, or closed here
            self._ended.set()

    def receive(self, timeout: float | None = None) -> Message | None:
        """Return the next message, `CLOSED` after the last; None if none comes within `timeout` seconds."""
        try:
            message = self._messages.get(timeout=timeout)
        except queue.Empty:
            return None
        if message is CLOSED:
            self._messages.put(CLOSED)  # for whoever asks again
        return message

    @property
    def has_message(self) -> bool:
        """Whether `receive` would return at once."""
        return not self._messages.empty()

    def last_words(self, timeout: float) -> Message:
        """Return why the other side, which is gone, has ended; `CLOSED` if it did not say.

        Args:
            timeout: seconds to wait for what it may have written.
        """
        self._read_all.wait(timeout)
        return self._failure or CLOSED

    def close(self) -> None:
        """Close this side's end."""
        self._ended.set()
        with suppress(OSError):
            self._writing.close()

    def _read(self) -> None:
        try:
            while (line := self._next_line()) is not None:
                self._heard, self.was_heard = time.monotonic(), True
                self._take(line)
        finally:  # also where there is no memory for a line: nobody waits for what nobody reads
            self._read_all.set()
            self._ended.set()
            self._messages.put(CLOSED)

    def _take(self, line: Message) -> None:
        if line.get("kind") == _BEAT:
            self.their_phase = str(line.get("phase", ""))[:40]
            return
        if line.get("kind") == FAILED:
            self._failure = line
        self._messages.put(line)

    def _next_line(self) -> Message | None:
        line = b""
        try:
            line = self._reading.readline(LONGEST)
            message = json.loads(line) if line.endswith(b"\n") else None
        except (OSError, ValueError, RecursionError):
            message = None
        if isinstance(message, dict):
            return message
        if not self.was_heard:
            self.noise = line[:_NOISE].decode(errors="replace")
        return None

    def _beat(self) -> None:
        try:
            while not self._ended.wait(BEAT_S):
                self.send(_BEAT, phase=self._phase())
        finally:
            self._ended.set()


def channel_to_owner(phase: Callable[[], str]) -> Channel:
    """Return this process's channel to the owner that started it, with whom it ends from now on.

    Args:
        phase: see `Channel`.
    """
    answers = os.dup(1)
    os.dup2(2, 1)  # what else prints must not come between the answers
    channel = Channel(os.fdopen(os.dup(0), "rb"), os.fdopen(answers, "wb", 0), phase)
    threading.Thread(target=_end_with_owner, args=(channel,), daemon=True).start()
    return channel


def _end_with_owner(channel: Channel) -> None:
    """End this process when the owner's side is closed or out of reach, whatever it is doing.

    On the owner's own machine one that is stopped, by Ctrl+Z, may go on at any time.
    """
    limit = OUT_OF_REACH_S if BY_SSH in os.environ else math.inf
    while not channel.is_closed and channel.silence < limit:
        threading.Event().wait(_LOOK_S)
    os._exit(1)
