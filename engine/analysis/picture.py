"""A chart's file: written in one step, over a chart that this program drew or over nothing."""

import struct
import warnings
from contextlib import suppress
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from engine.analysis.drawing import local_tick_labels
from engine.errors import UserError
from engine.files import open_own, remove, write_atomic
from engine.i18n import _
from engine.training.failures import explained_writes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 150
_PLOT = "mqlora-tui plot"
_SOFTWARE = "mqlora-tui"
"""Stands in every chart as the program that drew it."""
_UNMARKED = "Matplotlib"
"""How the same began in charts from before they had a mark; these had the size of today's."""
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MOST_BYTES = 4096
"""From a chart's beginning within which it names its program."""


def write_picture(figure: "Figure", path: Path) -> Path:
    """Draw a figure as PNG and put it in its place in one step.

    Raises:
        UserError: another picture or file has its name, or it cannot be written.
    """
    picture = _drawn(figure)
    with explained_writes(path.parent, _PLOT):
        if not _is_free(path, picture):
            raise UserError(
                _("{path} is not a chart that mqlora-tui drew").format(path=path),
                _("move it elsewhere or rename it, then run: mqlora-tui plot"),
            )
        write_atomic(path, picture)
    return path


def write_new_picture(figure: "Figure", folder: Path, name: str) -> Path:
    """Draw a figure as PNG into a new file: `name`.png, or the first of `name`-2.png … that is free.

    Raises:
        UserError: it cannot be written.
    """
    picture = _drawn(figure)
    with explained_writes(folder, _PLOT):
        path = _new_file(folder, name)
        try:
            write_atomic(path, picture)
        except BaseException:  # also Ctrl+C: the empty file that keeps the name must not stay
            remove(path)
            raise
    return path


def _new_file(folder: Path, name: str) -> Path:
    """Make an empty file of a name that nothing has, so that nothing else takes it meanwhile."""
    for number in count(1):
        path = folder / (f"{name}.png" if number == 1 else f"{name}-{number}.png")
        with suppress(FileExistsError), path.open("xb"):
            return path
    raise AssertionError


def _drawn(figure: "Figure") -> bytes:
    local_tick_labels(figure)
    picture = BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a model's name in a script without a font
        figure.savefig(picture, format="png", dpi=DPI, metadata={"Software": _SOFTWARE})
    return picture.getvalue()


def _is_free(path: Path, drawn: bytes) -> bool:
    """Whether a path has nothing, or an older chart of ours, in the place of the picture `drawn`."""
    try:
        with open_own(path) as file:
            found = file.read(_MOST_BYTES)
    except FileNotFoundError:
        return True
    size, program = _size_and_program(found)
    if program == _SOFTWARE:
        return True
    return program.startswith(_UNMARKED) and size == _size_and_program(drawn[:_MOST_BYTES])[0]


def _size_and_program(png: bytes) -> tuple[bytes, str]:
    """Return the bytes of a PNG's width and height, and the program that it names; of others nothing."""
    size, program, place = b"", "", len(_SIGNATURE)
    while png.startswith(_SIGNATURE) and place + 8 <= len(png):
        length, kind = struct.unpack_from(">I4s", png, place)
        content = png[place + 8 : place + 8 + length]
        if kind == b"IHDR":
            size = content[:8]
        key, _zero, value = content.partition(b"\0")
        if kind == b"tEXt" and key == b"Software":
            program = value.decode("latin-1")
        place += 12 + length
    return size, program
