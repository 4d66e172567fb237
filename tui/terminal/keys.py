"""Keys that count at once, for a command that draws on a terminal."""

import os
import select
import signal
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

CTRL_C = "\x03"
_LFLAG, _CC = 3, 6
_ESCAPE = b"\x1b"
_SEQUENCE_S = 0.05
"""A pause after which Escape was a key of its own."""


@contextmanager
def single_keys() -> Iterator[Callable[[float], str]]:
    """Let each key, Ctrl+C too, reach the program without Enter and without echo.

    The terminal is put back at the end, also when SIGTERM or a hang-up is the
    end. Without a terminal nothing is read and Ctrl+C stays a signal.

    Yields:
        A function that waits for a key, at most so many seconds; "" stands for none.
    """
    if not sys.stdin.isatty():
        yield _wait
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    with _leaving_on_signals():
        try:
            termios.tcsetattr(descriptor, termios.TCSANOW, _without_lines(before))
            yield _read_key
        finally:
            with suppress(termios.error):  # the terminal may be what has gone
                termios.tcsetattr(descriptor, termios.TCSANOW, before)


def _without_lines(attributes: list[Any]) -> list[Any]:
    changed = [*attributes[:_CC], [*attributes[_CC]]]
    changed[_LFLAG] &= ~(termios.ICANON | termios.ECHO | termios.ISIG)
    changed[_CC][termios.VMIN], changed[_CC][termios.VTIME] = 1, 0
    return changed


def _wait(seconds: float) -> str:
    time.sleep(seconds)
    return ""


def _read_key(seconds: float) -> str:
    if not select.select([sys.stdin], [], [], seconds)[0]:
        return ""
    key = os.read(sys.stdin.fileno(), 1)
    if not key:
        raise SystemExit(128 + signal.SIGHUP)  # the terminal has gone
    return str(key + _rest_of_sequence() if key == _ESCAPE else key, "latin-1")


def _rest_of_sequence() -> bytes:
    """Return what follows Escape where that begins the code of another key, such as an arrow."""
    rest = b""
    while select.select([sys.stdin], [], [], _SEQUENCE_S)[0] and (byte := os.read(sys.stdin.fileno(), 1)):
        rest += byte
        if rest not in (b"[", b"O") and b"@" <= byte <= b"~":
            break
    return rest


@contextmanager
def _leaving_on_signals() -> Iterator[None]:
    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
