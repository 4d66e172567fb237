"""Output that never waits and never fails: what becomes of a terminal does not touch training."""

import io
import os
import select
import threading
from collections import deque
from collections.abc import Callable

_TERMINAL_LIMIT = 256 * 1024
_OTHER_LIMIT = 16 * 1024 * 1024
_PIECE = 4096
"""Bytes that are written at once; what comes behind them can still be forgotten."""


class UnblockedStream(io.TextIOBase):
    """A text stream whose writes return at once; a thread of its own hands them to the system.

    What a terminal does not take stays behind, at most 256 KiB of it, and is
    then left out in whole writes. A pipe or a file may fall 16 MiB behind:
    its reader is a program that wants every line. After a failed write
    everything is left out.
    """

    encoding = "utf-8"

    def __init__(
        self,
        descriptor: int,
        on_error: Callable[[OSError], None] = lambda _error: None,
        on_caught_up: Callable[[], None] = lambda: None,
    ) -> None:
        """Start the thread.

        Args:
            descriptor: open file that is written to; it is not closed.
            on_error: told of the first failed write, on the stream's thread.
            on_caught_up: called there when all is written after something was left out.
        """
        super().__init__()
        self._descriptor = descriptor
        self._is_terminal = os.isatty(descriptor)
        self._limit = _TERMINAL_LIMIT if self._is_terminal else _OTHER_LIMIT
        self._on_error = on_error
        self._on_caught_up = on_caught_up
        self._changed = threading.Condition()
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._left_out = False
        self._is_forgotten = False
        """Whether the rest of what is being written is not wanted any more."""
        self._is_over = False
        threading.Thread(target=self._run, daemon=True, name="output").start()

    def write(self, text: str) -> int:
        """Take `text`; return its length, as if it were written."""
        data = text.encode(self.encoding, "replace")
        with self._changed:
            if self._is_over or (self._size and self._size + len(data) > self._limit):
                self._left_out = True
            else:
                self._waiting.append(data)
                self._size += len(data)
                self._changed.notify_all()
        return len(text)

    def forget(self) -> None:
        """Leave out what the system has not taken yet, for what is written next: frames, at the end."""
        with self._changed:
            self._waiting.clear()
            self._size, self._left_out, self._is_forgotten = 0, False, True

    def finish(self, seconds: float) -> bool:
        """Write what is waiting, for at most `seconds`, and end; return whether all was written."""
        done = self.wait_written(seconds)
        with self._changed:
            self._end()
        return done

    def wait_written(self, seconds: float) -> bool:
        """Wait, at most `seconds`, until everything is written or left out; return whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._size, seconds)

    def isatty(self) -> bool:
        """Whether this was a terminal at the start; one that hung up denies it later."""
        return self._is_terminal

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def writable(self) -> bool:
        """Yes."""
        return True

    def _run(self) -> None:
        while data := self._take():
            try:
                self._write(data)
            except OSError as error:
                with self._changed:
                    self._end()
                self._on_error(error)
                return
            if self._taken(len(data)):
                self._on_caught_up()

    def _take(self) -> bytes:
        """Wait for something to write; nothing means the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_over)
            data = b"".join(self._waiting)
            self._waiting.clear()
            self._is_forgotten = False
            return data

    def _taken(self, count: int) -> bool:
        """Note that `count` bytes were written; return whether a gap before them is now over."""
        with self._changed:
            self._size -= 0 if self._is_forgotten else count
            self._changed.notify_all()
            caught_up = self._left_out and not self._size and not self._is_over
            self._left_out = self._left_out and not caught_up
            return caught_up

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest and not self._is_forgotten:
            try:
                rest = rest[os.write(self._descriptor, rest[:_PIECE]) :]
            except BlockingIOError:  # another program has set the terminal so
                select.select([], [self._descriptor], [])

    def _end(self) -> None:
        self._is_over = True
        self._waiting.clear()
        self._size = 0
        self._changed.notify_all()
