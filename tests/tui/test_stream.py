"""Output that never waits and never fails."""

import os
import pty
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress

from engine.selftest.pseudo_terminal import PseudoTerminal
from tui.terminal.stream import UnblockedStream

import pytest

LINE = "Olá ⠒ " + "x" * 1000 + "\n"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe: the end to read from and the end to write to."""
    ends = os.pipe()
    yield ends
    for end in ends:
        with suppress(OSError):
            os.close(end)


def test_what_is_written_arrives_in_order(pipe: tuple[int, int]) -> None:
    """Letters of all scripts, several writes, one after the other."""
    stream = UnblockedStream(pipe[1])
    for number in range(100):
        stream.write(f"{number} é ✓\n")
    assert stream.finish(10)
    assert os.read(pipe[0], 65536).decode() == "".join(f"{number} é ✓\n" for number in range(100))


def test_a_reader_that_does_not_read_holds_nobody_up() -> None:
    """A pipe takes 64 KiB; a megabyte is written at once, and finishing gives up after its limit."""
    _unread, descriptor = os.pipe()  # stays open: the stream's thread goes on writing
    stream = UnblockedStream(descriptor)
    for _ in range(1000):
        assert stream.write(LINE) == len(LINE)
    assert not stream.finish(0.1)


def test_a_slow_program_gets_every_line(pipe: tuple[int, int]) -> None:
    """Nothing is left out of a pipe within its limit."""
    stream = UnblockedStream(pipe[1])
    for _ in range(500):
        stream.write(LINE)
    wanted, got = len(LINE.encode()) * 500, 0
    while got < wanted:
        got += len(os.read(pipe[0], 65536))
    assert stream.finish(10) and got == wanted


def test_a_reader_that_goes_away_is_reported_once_and_does_no_harm(pipe: tuple[int, int]) -> None:
    """After the first failed write everything goes nowhere."""
    errors: list[OSError] = []
    reported = threading.Event()

    def lose(error: OSError) -> None:
        errors.append(error)
        reported.set()

    stream = UnblockedStream(pipe[1], on_error=lose)
    os.close(pipe[0])
    stream.write(LINE)
    assert reported.wait(10)
    stream.write(LINE)
    assert stream.finish(10)
    assert [type(error) for error in errors] == [BrokenPipeError]


def test_a_terminal_that_hangs_up_does_no_harm() -> None:
    """The write fails, is told, and the stream still says that it was a terminal."""
    master, slave = pty.openpty()
    reported = threading.Event()
    stream = UnblockedStream(slave, on_error=lambda _error: reported.set())
    assert stream.isatty()
    os.close(master)
    stream.write(LINE)
    assert reported.wait(10) and stream.isatty()
    os.close(slave)


def test_a_stalled_terminal_loses_old_output_and_says_so_when_it_reads_again() -> None:
    """More than its limit is left out in whole writes; then the screen has to be drawn anew."""
    master, slave = pty.openpty()
    caught_up = threading.Event()
    stream = UnblockedStream(slave, on_caught_up=caught_up.set)
    for _ in range(1000):
        stream.write(LINE)
    pieces: list[bytes] = []

    def read_on() -> None:
        while piece := os.read(master, 65536):
            pieces.append(piece)
            if b"drawn anew" in b"".join(pieces[-2:]):
                return

    reader = threading.Thread(target=read_on)
    reader.start()
    assert caught_up.wait(60)
    stream.write("drawn anew")
    assert stream.finish(60)
    reader.join()
    assert 0 < b"".join(pieces).count(b"Ol\xc3\xa1") < 1000
    os.close(master)
    os.close(slave)


def test_what_is_forgotten_holds_nothing_up(pipe: tuple[int, int]) -> None:
    """A slow reader gets what was under way, then what was written next; also where the limit was reached."""
    stream = UnblockedStream(pipe[1])
    for _ in range(20_000):
        stream.write(LINE)
    stream.forget()
    stream.write("the end")
    got = b""
    while not got.endswith(b"the end"):
        got += os.read(pipe[0], 65536)
    assert stream.finish(10) and len(got) < 2 * 65536


_ALTERNATING = """
import sys, threading
from tui.cli.train import unblocked_output
with unblocked_output(threading.Event()):
    for number in range(100):
        print(number, file=(sys.stdout, sys.stderr)[number % 2])
"""


def test_what_goes_to_one_terminal_comes_in_its_order() -> None:
    """A bar's last frame after a sentence would wipe it away."""
    with PseudoTerminal([sys.executable, "-c", _ALTERNATING], os.environ, 60) as terminal:
        assert terminal.end() == 0
        assert terminal.output.split() == [str(number).encode() for number in range(100)]
