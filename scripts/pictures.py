"""Draw what an app shows as a picture, cell by cell: lines, blocks and dots meet as they do in a terminal.

Their shapes are those of the Unicode charts (Box Drawing, Block Elements, Braille Patterns); all other signs
are written in DejaVu Sans Mono, which comes with Matplotlib.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont
from rich.cells import cell_len
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from rich.terminal_theme import DIMMED_MONOKAI
from textual.app import App

Rgb = tuple[int, int, int]
Rectangle = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels, the last two included."""

_WIDTH, _HEIGHT, _LETTERS = 12, 24, 20
"""Pixels of a cell, and of the letters in it."""
_COLOURS = 48
_BACKGROUND, _FOREGROUND = (18, 18, 18), (224, 224, 224)
_ARMS = {
    "─": "0101", "│": "1010", "┌": "0110", "┐": "0011", "└": "1100", "┘": "1001", "├": "1110", "┤": "1011",
    "┬": "0111", "┴": "1101", "┼": "1111", "╭": "0110", "╮": "0011", "╰": "1100", "╯": "1001", "╴": "0001",
    "╶": "0100", "━": "0303", "┃": "3030", "╸": "0003", "╺": "0300", "┏": "0330", "┓": "0033", "┗": "3300",
    "┛": "3003",
}  # fmt: skip
"""Pixels of the lines from the middle of a cell up, right, down and left."""
_QUADRANTS = dict(zip("▖▗▘▙▚▛▜▝▞▟", (4, 8, 1, 13, 9, 7, 11, 2, 6, 14), strict=True))
"""Bits: upper left, upper right, lower left, lower right."""
_DOTS = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3))
"""Column and row of each bit of a Braille pattern."""


def draw(app: App[int], path: Path) -> None:
    """Write the present screen of an app as a PNG."""
    columns, rows = app.size
    image = Image.new("RGB", (columns * _WIDTH, rows * _HEIGHT), _BACKGROUND)
    canvas = ImageDraw.Draw(image)
    for row, strip in enumerate(app.screen._compositor.render_strips()):
        left = 0
        for segment in strip:
            left = _draw_segment(canvas, segment, left, row * _HEIGHT)
    few = image.quantize(_COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    few.save(path, optimize=True)


def _draw_segment(canvas: ImageDraw.ImageDraw, segment: Segment, left: int, top: int) -> int:
    """Draw a text of one style; return where it ends."""
    style = segment.style or Style()
    foreground, background = _colours(style)
    for character in segment.text:
        width = cell_len(character) * _WIDTH
        if not width:
            continue
        cell = (left, top, left + width - 1, top + _HEIGHT - 1)
        canvas.rectangle(cell, fill=background)
        if (shapes := _shapes(character)) is not None:
            for x, y, right, bottom in shapes:
                canvas.rectangle((left + x, top + y, left + right, top + bottom), fill=foreground)
        elif character.strip():
            canvas.text((left, top + 1), character, font=_font(bool(style.bold)), fill=foreground)
        if style.underline:
            canvas.rectangle((cell[0], cell[3] - 2, cell[2], cell[3] - 2), fill=foreground)
        left += width
    return left


def _colours(style: Style) -> tuple[Rgb, Rgb]:
    """Return foreground and background."""
    colours = _rgb(style.color, _FOREGROUND), _rgb(style.bgcolor, _BACKGROUND)
    foreground, background = colours[::-1] if style.reverse else colours
    if style.dim:
        foreground = tuple(round(0.6 * f + 0.4 * b) for f, b in zip(foreground, background, strict=True))  # type: ignore[assignment]
    return foreground, background


def _rgb(colour: Color | None, default: Rgb) -> Rgb:
    if colour is None or colour.is_default:
        return default
    red, green, blue = colour.get_truecolor(DIMMED_MONOKAI)
    return red, green, blue


@cache
def _font(is_bold: bool) -> ImageFont.FreeTypeFont:
    name = "DejaVuSansMono-Bold.ttf" if is_bold else "DejaVuSansMono.ttf"
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name, _LETTERS)


@cache
def _shapes(character: str) -> tuple[Rectangle, ...] | None:
    """Return the rectangles that a sign is made of within its cell; None for one that is written."""
    code = ord(character)
    if character in _ARMS:
        return tuple(_lines(_ARMS[character]))
    if 0x2580 <= code <= 0x259F and character not in "░▒▓":
        return tuple(_blocks(character))
    if 0x2800 <= code <= 0x28FF:
        dots = [dot for bit, dot in enumerate(_DOTS) if code >> bit & 1]
        return tuple((2 + 6 * x, 2 + 6 * y, 4 + 6 * x, 4 + 6 * y) for x, y in dots)
    return None


def _lines(arms: str) -> Iterator[Rectangle]:
    widest = max(map(int, arms))
    x, y = _WIDTH // 2 - 1 - widest // 2, _HEIGHT // 2 - 1 - widest // 2
    right, bottom = x + widest - 1, y + widest - 1
    up, to_right, down, to_left = (arm != "0" for arm in arms)
    if up:
        yield x, 0, right, bottom
    if to_right:
        yield x, y, _WIDTH - 1, bottom
    if down:
        yield x, y, right, _HEIGHT - 1
    if to_left:
        yield 0, y, right, bottom


def _blocks(character: str) -> Iterator[Rectangle]:
    """Yield the parts of a block: eighths from below, from the left or along an edge, halves, or quarters."""
    code, right, bottom = ord(character), _WIDTH - 1, _HEIGHT - 1
    if character in _QUADRANTS:
        for bit in (bit for bit in range(4) if _QUADRANTS[character] >> bit & 1):
            x, y = bit % 2 * _WIDTH // 2, bit // 2 * _HEIGHT // 2
            yield x, y, x + _WIDTH // 2 - 1, y + _HEIGHT // 2 - 1
    elif 0x2581 <= code <= 0x2588:
        yield 0, _HEIGHT - _HEIGHT * (code - 0x2580) // 8, right, bottom
    elif 0x2589 <= code <= 0x258F:
        yield 0, 0, max(1, round(_WIDTH * (0x2590 - code) / 8)) - 1, bottom
    else:
        yield {"▀": (0, 0, right, _HEIGHT // 2 - 1), "▐": (_WIDTH // 2, 0, right, bottom),
               "▔": (0, 0, right, 2), "▕": (right - 1, 0, right, bottom)}[character]  # fmt: skip
