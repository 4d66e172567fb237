"""What the terminal shows, so that only what is another than before is sent to it.

Textual sends whole regions, each stretch with all its attributes, whether or not they show the same already.
Here its output is drawn into cells; what leaves are the cells that differ, with the attributes that change.
"""

import re
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

from rich.cells import split_graphemes

_PART = re.compile(r"\x1b\[(?:(\d+);(\d+)H|([\d;]*)m)|([^\x00-\x1f\x7f-\x9f]+)|\n")
"""A move, attributes, text; the line breaks between Textual's lines, each of which begins with a move."""
_MOVE = re.compile(r"\x1b\[\d+;\d+H")
_GAP = 4
"""Unchanged cells between two that differ which are sent again: going past them costs as many bytes."""


class _Cell(NamedTuple):
    text: str
    """A letter with its accents; empty right of a wide one."""
    pen: str
    """Its attributes: the numbers of SGR sequences."""


_UNKNOWN = _Cell("\0", "")


class _Attributes(NamedTuple):
    others: frozenset[str]
    colour: str
    ground: str


class Picture:
    """The cells of a terminal of so many columns and rows; nothing is known of them at first."""

    def __init__(self, columns: int, rows: int) -> None:
        self._columns = columns
        self._shown = [[_UNKNOWN] * columns for _row in range(rows)]
        self._wanted = [list(row) for row in self._shown]
        self._cursor = (-1, -1)

    def changes(self, output: str) -> str:
        """Return what makes the terminal show what `output` would, given all that came before.

        Only what begins by moving the cursor is understood, as Textual's frames do; the rest is returned as
        it is. A frame with other sequences in it, such as links, is too, and then nothing is known any more.
        """
        if not _MOVE.match(output):
            return output
        parts = list(_PART.finditer(output))
        if sum(len(part[0]) for part in parts) != len(output):
            self._forget()
            return output
        touched, cursor = self._draw(parts)
        sent = "".join(self._row_changes(y) for y in sorted(touched))
        if not sent and cursor == self._cursor:
            return ""
        self._cursor = cursor
        return f"{sent}{_move(*cursor)}"

    def _forget(self) -> None:
        for row in (*self._shown, *self._wanted):
            row[:] = [_UNKNOWN] * self._columns
        self._cursor = (-1, -1)

    def _draw(self, parts: list[re.Match[str]]) -> tuple[set[int], tuple[int, int]]:
        """Draw a frame; return the rows that it drew on, and where it leaves the cursor."""
        y, x, pen, touched = 0, 0, "", set()
        for part in parts:
            row, column, attributes, text = part.groups()
            if row:
                y, x = int(row) - 1, int(column) - 1
            elif text:
                cells = _cells(text, pen)
                if 0 <= y < len(self._wanted):
                    touched.add(y)
                    self._put(self._wanted[y], x, cells)
                x += len(cells)
            elif attributes is not None:
                pen = _joined(pen, attributes)
        return touched, (y, x)

    def _put(self, row: list[_Cell], x: int, cells: list[_Cell]) -> None:
        """Write into a row; what becomes of the other half of a wide letter is the terminal's choice."""
        room = self._columns - x
        if room <= 0:
            return
        if len(cells) > room:
            is_halved = not cells[room].text
            cells = [*cells[: room - is_halved], *[_UNKNOWN] * is_halved]
        end = x + len(cells)
        if x and not row[x].text:
            row[x - 1] = _UNKNOWN
        if end < self._columns and not row[end].text:
            row[end] = _UNKNOWN
        row[x:end] = cells

    def _row_changes(self, y: int) -> str:
        """Return what brings a row up to date; the attributes are none before and after."""
        shown, wanted = self._shown[y], self._wanted[y]
        if shown == wanted:
            return ""
        changed = [x for x, (old, new) in enumerate(zip(shown, wanted, strict=True))
                   if new is not _UNKNOWN and old != new]  # fmt: skip
        sent, pen, at = [], "", -1
        for begin, end in _stretches(wanted, changed):
            sent.append(f"\x1b[{begin - at}C" if at >= 0 else _move(y, begin))
            for cell_pen, cells in groupby(wanted[begin:end], _pen):
                sent += (_turned(pen, cell_pen), *(cell.text for cell in cells))
                pen = cell_pen
            # How far a wide or accented letter moved the cursor is known to the terminal alone.
            at = end if all(_is_plain(cell) for cell in wanted[begin:end]) else -1
        self._shown[y] = list(wanted)
        return "".join((*sent, _turned(pen, "")))


def _stretches(row: list[_Cell], changed: list[int]) -> list[tuple[int, int]]:
    """Return beginnings and ends of what is sent of a row: changed cells, and short gaps between them."""
    found: list[tuple[int, int]] = []
    for x in changed:
        begin, end = x if row[x].text else x - 1, x + 1
        while end < len(row) and not row[end].text:
            end += 1
        if found and (begin <= found[-1][1] or _can_join(row, found[-1][1], begin)):
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((begin, end))
    return found


def _can_join(row: list[_Cell], end: int, begin: int) -> bool:
    """Whether the cells between two stretches may be sent again: all are plain, the last sent too."""
    between = row[max(0, end - 1) : begin + 1]
    return begin - end <= _GAP and all(_is_plain(cell) for cell in between)


def _is_plain(cell: _Cell) -> bool:
    return len(cell.text) == 1 and cell is not _UNKNOWN


def _pen(cell: _Cell) -> str:
    return cell.pen


def _move(y: int, x: int) -> str:
    return f"\x1b[{y + 1};{x + 1}H"


@lru_cache(512)  # a few frames: numbers that change make new texts all day
def _cells(text: str, pen: str) -> list[_Cell]:
    """Return the cells that a text takes: two for a wide letter, none of its own for an accent."""
    if text.isascii():
        return [_Cell(letter, pen) for letter in text]
    cells: list[_Cell] = []
    for begin, end, width in split_graphemes(text)[0]:
        cells += [_Cell(text[begin:end], pen), *[_Cell("", pen)] * (width - 1)][:width]
    return cells


@lru_cache(4096)
def _joined(pen: str, numbers: str) -> str:
    """Return the attributes after one more sequence."""
    if numbers in ("", "0"):
        return ""
    return f"{pen};{numbers}" if pen else numbers


@lru_cache(4096)
def _turned(old: str, new: str) -> str:
    """Return the shortest sequence from one set of attributes to another."""
    if old == new:
        return ""
    if not new:
        return "\x1b[m"
    whole = f"\x1b[0;{new}m" if old else f"\x1b[{new}m"
    before, after = _attributes(old), _attributes(new)
    if before is None or after is None or before.others - after.others:
        return whole
    if (before.colour and not after.colour) or (before.ground and not after.ground):
        return whole
    numbers = sorted(after.others - before.others)
    numbers += [
        new for old, new in ((before.colour, after.colour), (before.ground, after.ground)) if old != new
    ]
    return min(whole, f"\x1b[{';'.join(numbers)}m", key=len)


@lru_cache(4096)
def _attributes(pen: str) -> _Attributes | None:
    """Take SGR numbers apart; None for what takes attributes away, or is not known here."""
    numbers = iter(pen.split(";") if pen else ())
    others, colours = set(), {"3": "", "4": ""}
    for number in numbers:
        if number in ("38", "48"):
            kind = next(numbers, "")
            values = [next(numbers, "") for _value in range({"5": 1, "2": 3}.get(kind, 0))]
            colours[number[0]] = ";".join((number, kind, *values))
        elif len(number) == 1 and number != "0":
            others.add(number)
        elif re.fullmatch(r"3[0-79]|9[0-7]", number):
            colours["3"] = number
        elif re.fullmatch(r"4[0-79]|10[0-7]", number):
            colours["4"] = number
        else:
            return None
    return _Attributes(frozenset(others), colours["3"], colours["4"])
