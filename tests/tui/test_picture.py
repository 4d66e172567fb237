"""What leaves for the terminal is less than what Textual draws, and shows the same."""

from tui.terminal.picture import Picture

import pyte
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

COLUMNS, ROWS = 14, 3
CONSOLE = Console(color_system="truecolor", force_terminal=True)
STYLES = st.sampled_from(
    ["", "bold", "bold red", "red on blue", "on #121212", "#d0d0d0 on #121212", "italic #5fafd7 on #121212",
     "underline bold #5fafd7 on color(17)", "reverse", "dim default", "default on default", "bright_black"]
)  # fmt: skip
LETTERS = st.sampled_from([" ", "a", "b", "é", "─", "●", "世"])
TEXTS = st.lists(LETTERS, min_size=1, max_size=9).map("".join)
LINES = st.lists(st.tuples(TEXTS, STYLES), min_size=1, max_size=4)
FRAMES = st.lists(st.tuples(st.integers(0, ROWS - 1), st.integers(0, 4), LINES), min_size=1, max_size=3)


Parts = list[tuple[str, str]]
"""Texts and their styles."""
Drawn = tuple[int, int, Parts]
"""Row, column, and what is there."""


def frame(lines: list[Drawn], columns: int = COLUMNS) -> str:
    """Return what Textual would send for strips at these rows and columns."""
    sent = []
    for y, x, parts in lines:
        strip = Strip([Segment(text, Style.parse(style)) for text, style in parts]).crop(0, columns - x)
        sent.append(f"\x1b[{y + 1};{x + 1}H{strip.render(CONSOLE)}" + "\n" * (y < ROWS - 1))
    return f"{''.join(sent)}\x1b[1;1H"


def line(*parts: tuple[str, str]) -> str:
    return frame([(0, 0, list(parts))], 40)


def screen() -> tuple[pyte.Screen, pyte.Stream]:
    found = pyte.Screen(COLUMNS, ROWS)
    found.reset_mode(7, private=True)  # Textual lets no line wrap
    return found, pyte.Stream(found)


def cells(found: pyte.Screen) -> list[list[pyte.screens.Char]]:
    return [[found.buffer[y][x] for x in range(COLUMNS)] for y in range(ROWS)]


@settings(max_examples=60, deadline=None)
@given(st.lists(FRAMES, min_size=1, max_size=6))
def test_the_terminal_shows_what_is_drawn(frames: list[list[Drawn]]) -> None:
    """After each frame all cells are those of a terminal that was sent everything."""
    picture, (whole, whole_stream), (lean, lean_stream) = Picture(COLUMNS, ROWS), screen(), screen()
    for lines in frames:
        output = frame(lines)
        whole_stream.feed(output)
        lean_stream.feed(picture.changes(output))
        assert cells(lean) == cells(whole)
        assert (lean.cursor.x, lean.cursor.y) == (whole.cursor.x, whole.cursor.y) == (0, 0)


def test_only_what_changes_is_sent() -> None:
    """A letter costs a move and itself; the same again, nothing, and attributes are not said twice."""
    picture = Picture(40, 2)
    style = "#d0d0d0 on #121212"
    first = picture.changes(line(("step 10", style), ("  ", style), ("loss 2.5", style)))
    assert first == "\x1b[1;1H\x1b[38;2;208;208;208;48;2;18;18;18mstep 10  loss 2.5\x1b[m\x1b[1;1H"
    assert picture.changes(line(("step 10", style), ("  ", style), ("loss 2.5", style))) == ""
    changed = picture.changes(line(("step 11", style), ("  ", style), ("loss 2.5", style)))
    assert changed == "\x1b[1;7H\x1b[38;2;208;208;208;48;2;18;18;18m1\x1b[m\x1b[1;1H"


@pytest.mark.parametrize("other", ["\x1b[?1049h", "\x07", "\x1b]52;c;YQ==\x07", "\x1b[?2026h"])
def test_what_is_no_frame_is_sent_as_it_is(other: str) -> None:
    """Modes, bell and clipboard pass, each time."""
    picture = Picture(40, 2)
    assert [picture.changes(other), picture.changes(other)] == [other, other]


def test_a_frame_that_is_not_understood_is_sent_whole_and_so_is_the_next() -> None:
    """A link is passed on; as nobody knows what it drew, the same text is sent again after it."""
    picture = Picture(40, 2)
    plain, link = line(("there", "")), "\x1b[1;1H\x1b]8;;https://x\x1b\\there\x1b]8;;\x1b\\\x1b[1;1H"
    assert picture.changes(plain) and not picture.changes(plain)
    assert picture.changes(link) == link
    assert "there" in picture.changes(plain)
