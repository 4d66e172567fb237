"""Two rows compared word by word, in bounded time."""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from engine.dataset.inspect.preview import find_row
from engine.dataset.jsonl.row import Row
from engine.dataset.jsonl.turns import spoken
from engine.dataset.report import Place
from engine.errors import UserError

MOST_WORDS = 2_000
"""Of each text; what follows is left out."""
_WORD = re.compile(r"\s*\w+|\s*[^\w\s]|\s+")
"""A word or a sign with the white space before it."""


class DiffPart(NamedTuple):
    """A stretch of a text."""

    text: str
    differs: bool
    """Whether it is missing in the other text, or is something else there."""


class Said(NamedTuple):
    """One turn of a row, compared with the same turn of another row."""

    role: str
    """Empty for plain text, and for a turn that the row does not have."""
    parts: tuple[DiffPart, ...]
    is_whole: bool
    """Whether all of its text is there."""


Turns = tuple[Said, ...]
Pair = tuple[Turns | UserError, Turns | UserError]
"""The turns of two rows, or why one cannot be read."""


def read_pair(folder: Path, places: tuple[Place, Place]) -> Pair:
    """Read two rows of the data folder and compare them."""
    one, other = (_read(folder, place) for place in places)
    if isinstance(one, Row) and isinstance(other, Row):
        return compared(one, other)
    return _alone(one), _alone(other)


def compared(left: Row, right: Row) -> tuple[Turns, Turns]:
    """Return the turns of two rows with what differs between them."""
    pairs = [
        _turns(mine, yours) for mine, yours in zip_longest(_said(left), _said(right), fillvalue=("", ""))
    ]
    return tuple(one for one, _other in pairs), tuple(other for _one, other in pairs)


def _read(folder: Path, place: Place) -> Row | UserError:
    try:
        return find_row(folder / place.file, place.line)
    except UserError as error:
        return error


def _alone(row: Row | UserError) -> Turns | UserError:
    """Return a row that there is nothing to compare with."""
    return row if isinstance(row, UserError) else compared(row, row)[0]


def _said(row: Row) -> list[tuple[str, str]]:
    """Return role and text of each turn."""
    return [("", row.text)] if row.text else [(turn["role"], spoken(turn)) for turn in row.messages]


def _turns(left: tuple[str, str], right: tuple[str, str]) -> tuple[Said, Said]:
    """Compare two turns of the same place in their rows."""
    words, others = (_WORD.findall(text) for _role, text in (left, right))
    parts, other_parts = _parts(words[:MOST_WORDS], others[:MOST_WORDS])
    return (
        Said(left[0], parts, len(words) <= MOST_WORDS),
        Said(right[0], other_parts, len(others) <= MOST_WORDS),
    )


def compared_texts(left: str, right: str) -> tuple[tuple[DiffPart, ...], tuple[DiffPart, ...]]:
    """Return two texts in stretches that are the same, and that are not; of each the first `MOST_WORDS`."""
    words, others = (_WORD.findall(text)[:MOST_WORDS] for text in (left, right))
    return _parts(words, others)


def _parts(left: Sequence[str], right: Sequence[str]) -> tuple[tuple[DiffPart, ...], tuple[DiffPart, ...]]:
    """Return both texts in stretches that are the same, and that are not."""
    if left == right:
        same = (DiffPart("".join(left), False),) if left else ()
        return same, same
    changes = SequenceMatcher(None, left, right).get_opcodes()
    return (
        tuple(DiffPart("".join(left[a:b]), how != "equal") for how, a, b, _c, _d in changes if a < b),
        tuple(DiffPart("".join(right[c:d]), how != "equal") for how, _a, _b, c, d in changes if c < d),
    )
