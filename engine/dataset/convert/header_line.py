"""Which line of a delimited text names its columns: the first, one below a title, or none."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice, takewhile

from engine.dataset.jsonl.field_names import part_of
from engine.dataset.jsonl.fields import sense_of

_TRIED = 20
"""Records that are looked at."""
_BEGIN = 1 << 16
"""Characters that they are looked for in: no cell may have more than a reader of CSV takes."""
_LONG_NAME = 40
"""Characters of a name that nobody gives to a column."""
_NUMBER = re.compile(r"[-+]?\d[\d.,:/ -]*%?")
Numbered = tuple[int, list[str]]
"""The line on which a record begins, and its cells that are not blank."""


def line_of_names(text: str, delimiter: str, by_shape: bool = True) -> int:
    """Return the line that seems to name the columns where the first does not; 0 where none seems to.

    Args:
        text: begins with the first line.
        delimiter: stands between cells.
        by_shape: whether lines with one cell above lines with several are a title, too, whatever these say.
    """
    records = list(_records(text, delimiter))
    found = next((index for index, (_line, cells) in enumerate(records) if _ask_and_answer(cells)), 0)
    if not found and by_shape and records and not _ask_and_answer(records[0][1]):
        found = _below_titles(records)
    return records[found][0] if found else 0


def reads_like_row(names: Sequence[str]) -> bool:
    """Whether names of columns read like what is said in a row."""
    return any(
        len(name) > _LONG_NAME or name.endswith((".", "?", "!")) or _NUMBER.fullmatch(name) for name in names
    )


def numbered_names(names: Sequence[str]) -> list[str]:
    """Return the cells of a row as names of columns: what stands there again is numbered."""
    found: list[str] = []
    for number, name in enumerate(names, start=1):
        found.append(f"{name} ({number})" if name and name in found else name)
    return found


def below(text: str, lines: int) -> str:
    """Return a text without so many lines at its beginning."""
    return "".join(islice(io.StringIO(text, newline=""), lines, None))


def _records(text: str, delimiter: str) -> Iterator[Numbered]:
    rows, line = csv.reader(io.StringIO(text[:_BEGIN], newline=""), delimiter=delimiter), 1
    with suppress(csv.Error):  # what comes after it is no record
        for cells in islice(rows, _TRIED):
            if filled := [cell.strip() for cell in cells if cell.strip()]:
                yield line, filled
            line = rows.line_num + 1


def _ask_and_answer(names: Sequence[str]) -> bool:
    """Whether names of columns say where question and answer stand, or whole conversations."""
    parts, senses = set(map(part_of, names)), set(map(sense_of, names))
    is_asked, is_answered = parts & {"question", "input"}, "answer" in parts or "preference" in senses
    return len(names) > 1 and bool("turns" in parts or (is_asked and is_answered))


def _below_titles(records: Sequence[Numbered]) -> int:
    """Return which record is the first below some of one cell, where all from there on have as many."""
    titles = [cells[0] for _line, cells in takewhile(lambda record: len(record[1]) == 1, records)]
    rest = [cells for _line, cells in records[len(titles) :]]
    is_title = titles and not any(part_of(title) or sense_of(title) for title in titles)
    is_table = len(rest) > 1 and all(len(cells) == len(rest[0]) for cells in rest)
    return len(titles) if is_title and is_table and not reads_like_row(rest[0]) else 0
