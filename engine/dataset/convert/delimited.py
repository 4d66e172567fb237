"""The rows of a delimited text, such as CSV: each with the line it begins on, or why it cannot be read."""

import csv
import io
import re
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TextIO

from engine.dataset.convert.header_line import numbered_names, reads_like_row
from engine.dataset.convert.records import Record, Rejected, refuse_twice
from engine.dataset.convert.source import Source, not_decoded
from engine.dataset.jsonl.lines import MOST_BYTES
from engine.dataset.report import Fault
from engine.errors import UserError
from engine.i18n import _, ngettext, number

_RULE = re.compile(r":?-{2,}:?")
"""A cell of the line below the names in a table of Markdown."""


def read_delimited(source: Source) -> Iterator[Record | Rejected]:
    """Yield every row of a delimited text that is not blank.

    Raises:
        UserError: it cannot be read as a whole.
    """
    csv.field_size_limit(MOST_BYTES)
    errors = "surrogateescape" if source.encoding == "utf-8-sig" else "strict"
    with io.TextIOWrapper(source.open(), source.encoding, errors=errors, newline="") as text:
        lines = islice(_bounded(text, source.path), source.skipped_lines, None)
        rows = csv.reader(
            lines, delimiter=source.delimiter, strict=True, skipinitialspace=source.has_spaced_quotes
        )
        names: list[str] = []
        while True:
            begin = rows.line_num + source.skipped_lines + 1
            try:
                cells = next(rows, None)
            except csv.Error as error:
                yield _badly_quoted(begin, rows.line_num + source.skipped_lines, str(error))
                continue
            except UnicodeDecodeError:
                raise not_decoded(source, begin) from None
            if cells is None:
                return
            if source.delimiter == "|":
                cells = _of_markdown(cells)
            if not names:
                names = _header(source, cells)
                if source.has_header:
                    continue
            if cells:
                cells = [cell.replace("\r\n", "\n") for cell in cells]  # as between lines, so inside of cells
                yield _record(begin, rows.line_num + source.skipped_lines, names, cells)


def _of_markdown(cells: list[str]) -> list[str]:
    """Return the cells of a line between bars: none of the line below the names, none outside."""
    texts = [cell.strip() for cell in cells]
    if any(texts) and all(_RULE.fullmatch(text) for text in texts if text):
        return []
    return texts[1:-1] if len(texts) > 2 and not texts[0] and not texts[-1] else cells


def swallowed_rows(record: Record, delimiter: str) -> Iterator[Fault]:
    """Yield a warning where a quote seems to have opened by mistake, and made one cell of several rows.

    Args:
        record: a row.
        delimiter: between its cells; empty where it is of another format.
    """
    for cell in record.value.values() if delimiter else ():
        lines = cell.split("\n")[1:]
        if lines and all(line.count(delimiter) == len(record.value) - 1 for line in lines):
            yield Fault(
                "",
                record.place,
                None,
                "swallowed_rows",
                "warning",
                ngettext(
                    "a quote opens in it and closes {n} line later, which looks like a row of its own",
                    "a quote opens in it and closes {n} lines later, which look like rows of their own",
                    len(lines),
                ).format(n=number(len(lines))),
                _("where the quote is no mistake all is well; else write it twice or take it out"),
            )
            return


def _bounded(text: TextIO, path: Path) -> Iterator[str]:
    """Yield the lines of a text.

    Raises:
        UserError: one is longer than memory should hold.
    """
    for place, line in enumerate(iter(partial(text.readline, MOST_BYTES), ""), start=1):
        if len(line) == MOST_BYTES:
            raise UserError(
                _("Line {line} of {path} has more than {size} million characters").format(
                    line=place, path=path, size=round(MOST_BYTES / 1e6)
                ),
                _("split it"),
            )
        yield line


def _header(source: Source, cells: list[str]) -> list[str]:
    if not source.has_header:
        return [_("column {n}").format(n=number) for number in range(1, len(cells) + 1)]
    names = [cell.strip() for cell in cells]
    if source.named_at or reads_like_row(names):
        return numbered_names(names)  # what it seems to be is asked about
    refuse_twice(source.path, names)
    return names


def _record(begin: int, end: int, names: list[str], cells: list[str]) -> Record | Rejected:
    if len(cells) != len(names):
        message = ngettext(
            "{count} cell, but the header has {wanted}",
            "{count} cells, but the header has {wanted}",
            len(cells),
        ).format(count=len(cells), wanted=len(names))
        fix = _("put cells with delimiters in double quotes")
        return Rejected(begin, "wrong_cells", message + _range(begin, end), fix)
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        return Rejected(begin, "invalid_utf8", _("not UTF-8"), _("save the file as UTF-8"))
    return Record(begin, dict(zip(names, cells, strict=True)))


def _badly_quoted(begin: int, end: int, error: str) -> Rejected:
    if error.startswith("unexpected end"):
        message = _("a quote is never closed: the rest of the file is one cell")
    elif error.startswith("field larger"):
        message = _("a quote is not closed within {size} million characters")
    else:
        message = _("something follows a closing quote")
    message = message.format(size=round(MOST_BYTES / 1e6)) + _range(begin, end)
    return Rejected(begin, "bad_quote", message, _("write a quote inside a cell twice"))


def _range(begin: int, end: int) -> str:
    """Say which lines a rejected row takes up, where it is several: they may hold more rows than one."""
    if end == begin:
        return ""
    return _(" (lines {begin} to {end})").format(begin=number(begin), end=number(end))
