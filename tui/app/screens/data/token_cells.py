"""Tokens made visible to the last character, and packed into lines."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from engine.sanitize import HARMFUL

from rich.cells import cell_len, chop_cells

if TYPE_CHECKING:
    from engine.dataset.inspect.preview import PreviewToken  # imports numpy, so not at start-up

_UNSEEN = re.compile(
    f"{HARMFUL.pattern}|[\t\n \xa0\u1680\u180b-\u180f\u2000-\u200d\u202f\u205f\u3000]"
    "|[\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)
"""What nobody sees, or what could steer a terminal; inside words and emoji too."""
_MARKS = {" ": "·", "\n": "⏎", "\t": "⇥"}
_BASE = "◌"
"""Carries an accent that belongs to the token before."""
SPECIAL = "◆"
"""Stands before a control token."""
BORDERS = {"prompt": "│", "trained": "┃", "cut": "┊"}
"""Stand before each token, by what becomes of it."""


class CellRun(NamedTuple):
    """A part of a token's text."""

    text: str
    is_mark: bool
    """Stands for characters that cannot be seen."""


class Cell(NamedTuple):
    """A token, or the part of a long one that fits on a line."""

    token: "PreviewToken"
    pieces: tuple[CellRun, ...]
    width: int
    """Terminal cells of text and number, without the border before them."""
    number: str
    """The token's ids in words, where they are wanted."""
    is_odd: bool
    """Every other token has another shade."""
    ends_line: bool


def cells(tokens: Iterable["PreviewToken"], with_ids: bool, room: int) -> Iterator[Cell]:
    """Yield the cells of tokens, none wider than `room` cells with its border."""
    for index, token in enumerate(tokens):
        number = "+".join(str(each) for each in token.ids) if with_ids else ""
        parts = _chopped(pieces(token), max(1, room - 1))
        for part, text in enumerate(parts):
            own = "" if part else number
            width = max(sum(cell_len(piece.text) for piece in text), len(own))
            is_last = part == len(parts) - 1
            yield Cell(token, text, width, own, bool(index % 2), is_last and token.text.endswith("\n"))


def packed(cells: Iterable[Cell], room: int) -> list[list[Cell]]:
    """Return lines of cells, each of at most `room` terminal cells; a line break ends one."""
    lines: list[list[Cell]] = []
    line: list[Cell] = []
    used = 0
    for cell in cells:
        if line and used + 1 + cell.width > room:
            lines.append(line)
            line, used = [], 0
        line.append(cell)
        used += 1 + cell.width
        if cell.ends_line:
            lines.append(line)
            line, used = [], 0
    return [*lines, line] if line else lines


def pieces(token: "PreviewToken") -> tuple[CellRun, ...]:
    """Return a token's text with everything in it visible and harmless."""
    text = token.text
    found = [CellRun(SPECIAL, True)] if token.special else []
    if text and unicodedata.category(text[0]).startswith("M") and not _UNSEEN.match(text):
        found.append(CellRun(_BASE, True))
    begin = 0
    for match in _UNSEEN.finditer(text):
        if match.start() > begin:
            found.append(CellRun(text[begin : match.start()], False))
        found.append(CellRun(_mark(match[0]), True))
        begin = match.end()
    if begin < len(text):
        found.append(CellRun(text[begin:], False))
    return tuple(found)


def _mark(character: str) -> str:
    code = ord(character)
    escape = f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    return _MARKS.get(character, escape)


def _chopped(pieces: Sequence[CellRun], room: int) -> list[tuple[CellRun, ...]]:
    """Return pieces in parts of at most `room` terminal cells each."""
    if sum(cell_len(piece.text) for piece in pieces) <= room:
        return [tuple(pieces)]
    short = [CellRun(text, mark) for whole, mark in pieces for text in chop_cells(whole, room)]
    parts: list[list[CellRun]] = [[]]
    used = 0
    for piece in short:
        width = cell_len(piece.text)
        if used + width > room:
            parts.append([])
            used = 0
        parts[-1].append(piece)
        used += width
    return [tuple(part) for part in parts]
