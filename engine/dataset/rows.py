"""Reading JSONL data files: every line becomes a row or a fault, none is lost."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from engine.dataset.fields import NotUsed
from engine.dataset.lines import Oddities, read_lines
from engine.dataset.parsing import RowError, parse_object, refuse_odd_characters
from engine.dataset.report import Fault
from engine.dataset.row import Form, Row, read_row
from engine.i18n import _


class Forms:
    """Counts how the rows of a file are written."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self._counts: Counter[Form] = Counter()
        self._first: dict[Form, int] = {}

    def see(self, form: Form, line: int) -> None:
        """Count a row."""
        self._counts[form] += 1
        if form not in self._first:
            self._first[form] = line

    def faults(self, file: str) -> Iterator[Fault]:
        """Yield a warning where rows are written in several forms, at the first of the rarest."""
        if len(self._counts) > 1:
            shown = ", ".join(f"{count} {_FORM_NAMES[form]()}" for form, count in self._counts.most_common())
            yield Fault(
                file,
                self._first[self._counts.most_common()[-1][0]],
                None,
                "mixed_forms",
                "warning",
                _("rows are written in several forms: {forms}").format(forms=shown),
                _("see that none of them came in by mistake"),
            )


_FORM_NAMES: dict[Form, Callable[[], str]] = {
    "pair": lambda: _("prompt and completion"),
    "messages": lambda: _("messages"),
    "text": lambda: _("text"),
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
    for item in read_lines(path, odd, begin):
        if isinstance(item, Fault):
            yield item
            continue
        line, raw = item
        yield _read(raw, line, name, forms, not_used)
    yield from odd.faults(name)
    yield from forms.faults(name)
    yield from not_used.faults(name)


def _read(raw: bytes, line: int, file: str, forms: Forms, not_used: NotUsed) -> Row | Fault:
    try:
        form, row, names = read_row(parse_object(raw), line)
        if b"\\u" in raw:  # only escapes can write them
            refuse_odd_characters(row.said)
    except RowError as error:
        return Fault(file, line, error.column, error.kind, "error", error.message, error.fix)
    forms.see(form, line)
    if names:
        not_used.see(names, line)
    return row
