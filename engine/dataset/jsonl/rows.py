"""Reading JSONL data files: every line becomes a row or a fault, none is lost."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from engine.dataset.jsonl.lines import Oddities, read_lines
from engine.dataset.jsonl.other_fields import RowForm
from engine.dataset.jsonl.parse import (
    MOST_CHARACTERS,
    RowError,
    parse_object,
    refuse_endless,
    refuse_odd_characters,
)
from engine.dataset.jsonl.row import Row, read_row
from engine.dataset.jsonl.unused_fields import NotUsed
from engine.dataset.report import Fault, Severity
from engine.i18n import _
from engine.sanitize import one_line

_CONTROL = re.compile("[\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffd]")
"""All but tab and line breaks (zero is an error of its own), and what stands for bytes that were lost."""
_LOST = "\ufffd"
_WRITTEN = (b"\\u", b"\\b", b"\\f", b"\x7f", b"\xc2", b"\xef\xbf\xbd")
"""One of these is in the bytes of every row with one."""


class Forms:
    """Counts how the rows of a file are written."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self._counts: Counter[RowForm] = Counter()
        self._first: dict[RowForm, int] = {}

    def see(self, form: RowForm, line: int) -> None:
        """Count a row."""
        self._counts[form] += 1
        if form not in self._first:
            self._first[form] = line

    def faults(self, file: str) -> Iterator[Fault]:
        """Yield a warning where rows are written in several forms, at the first of the rarest."""
        if len(self._counts) > 1:
            shown = ", ".join(f"{count} {_FORM_NAMES[form]}" for form, count in self._counts.most_common())
            yield Fault(
                file,
                self._first[self._counts.most_common()[-1][0]],
                None,
                "mixed_forms",
                "warning",
                _("rows are written in several forms: {forms}").format(forms=shown),
                _("see that none of them came in by mistake"),
            )


def control_fault(file: str, row: Row, raw: bytes) -> Iterator[Fault]:
    """Yield a warning if the text of a row holds a character that steers a terminal and that nobody sees.

    Args:
        file: its name.
        row: of it.
        raw: the bytes that it was read from.
    """
    if not any(mark in raw for mark in _WRITTEN) or not (found := _CONTROL.search(row.said)):
        return
    text, fix = (
        _("the text holds the control character {character}, which nobody sees"),
        _("take it out: the model learns to write it"),
    )
    if found[0] == _LOST:
        text = _("the text holds {character}, which stands for letters that were lost")
        fix = _("write them again, or read the original with its right encoding")
    text = text.format(character=one_line(found[0]))
    yield Fault(file, row.line, None, "control_character", "warning", text, fix)


_FORM_NAMES: dict[RowForm, str] = {
    "pair": _("prompt and completion"),
    "messages": _("messages"),
    "text": _("text"),
}


def read_rows(path: Path, begin: int = 1) -> Iterator[Row | Fault]:
    """Yield a `Row` or an error `Fault` for every line of `path` that is not blank; at the end what is odd.

    Args:
        path: of the file.
        begin: number of the first line to read.

    Raises:
        UserError: the file cannot be read at all.
    """
    odd, forms, not_used, name = Oddities(), Forms(), NotUsed(), path.name
    controls: list[Fault] = []
    for item in read_lines(path, odd, begin):
        if isinstance(item, Fault):
            yield item
            continue
        line, raw = item
        row = _read(raw, line, name, forms, not_used)
        if isinstance(row, Row):
            controls += control_fault(name, row, raw)
        yield row
    yield from odd.faults(name)
    yield from forms.faults(name)
    yield from not_used.faults(name)
    yield from controls


def _read(raw: bytes, line: int, file: str, forms: Forms, not_used: NotUsed) -> Row | Fault:
    try:
        form, row, names = read_row(parse_object(raw), line)
        refuse_endless(len(row.said) if len(raw) > MOST_CHARACTERS else 0, len(row.messages))
        if b"\\u" in raw:  # only escapes can write them
            refuse_odd_characters(row.said)
    except RowError as error:
        severity: Severity = "note" if error.is_wanted else "error"
        return Fault(file, line, error.column, error.kind, severity, error.message, error.fix)
    forms.see(form, line)
    if names:
        not_used.see(names, line)
    return row
