"""A recording of a terminal drawn anew with fewer bytes: at most eight frames a second, of what changed."""

import re
from collections.abc import Iterable, Iterator

import pyte
from pyte.graphics import FG_BG_256
from pyte.screens import Char

Event = tuple[float, str]
"""Seconds from the begin, and what was written."""
_FRAME_S = 0.125
_KEYBOARD = re.compile(r"\x1b\[[<>=?]\d*u")
"""Asks for another coding of keys, which pyte would print."""
_NAMES = ("black", "red", "green", "brown", "blue", "magenta", "cyan", "white")
"""Of pyte; the bright ones begin with "bright"."""


def redrawn(events: Iterable[Event], columns: int, rows: int) -> Iterator[Event]:
    """Yield frames in place of what was written, of a screen without a cursor; the last is the last state."""
    screen = pyte.Screen(columns, rows)
    stream = pyte.Stream(screen)
    shown = _cells(screen)
    now, due = 0.0, 0.0
    yield 0.0, "\x1b[?25l"
    for time, text in events:
        # What comes next is later, so this state is seen.
        if time >= due and time > now and (change := _difference(shown, cells := _cells(screen))):
            seen = max(now, due)
            yield seen, change
            shown, due = cells, seen + _FRAME_S
        stream.feed(_KEYBOARD.sub("", text))
        now = time
    yield now, _difference(shown, _cells(screen)) + f"\x1b[{rows};1H\x1b[?25h"


def _cells(screen: pyte.Screen) -> list[list[Char]]:
    return [[screen.buffer[row][column] for column in range(screen.columns)] for row in range(screen.lines)]


def _difference(before: list[list[Char]], after: list[list[Char]]) -> str:
    """Return what turns one screen into the other."""
    drawn = []
    for row, (old, new) in enumerate(zip(before, after, strict=True)):
        changed = [column for column, cell in enumerate(new) if cell != old[column]]
        if changed:
            drawn.append(f"\x1b[{row + 1};{changed[0] + 1}H{_line(new[changed[0] : changed[-1] + 1])}")
    return "".join(drawn)


def _line(cells: list[Char]) -> str:
    drawn, style = [], ""
    for cell in cells:
        if (wanted := _style(cell)) != style:
            style = wanted
            drawn.append(style)
        drawn.append(cell.data)
    return "".join(drawn) + "\x1b[0m"


def _style(cell: Char) -> str:
    flags = (
        (cell.bold, "1"),
        (cell.italics, "3"),
        (cell.underscore, "4"),
        (cell.reverse, "7"),
        (cell.strikethrough, "9"),
    )
    codes = ["0", *(code for is_set, code in flags if is_set), *_colour(cell.fg, 30), *_colour(cell.bg, 40)]
    return f"\x1b[{';'.join(codes)}m"


def _colour(colour: str, base: int) -> list[str]:
    """Return the codes of a foreground (30) or background (40)."""
    if colour == "default":
        return []
    name = colour.removeprefix("bright")
    if name in _NAMES:
        return [str(base + _NAMES.index(name) + 60 * (name != colour))]
    if colour in FG_BG_256:
        return [str(base + 8), "5", str(FG_BG_256.index(colour))]
    return [str(base + 8), "2", *(str(int(colour[at : at + 2], 16)) for at in (0, 2, 4))]
