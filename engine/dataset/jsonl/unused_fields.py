"""The fields of a file that are not used: counted in all rows, and named once."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from engine.dataset.report import Fault
from engine.i18n import _, ngettext, number
from engine.sanitize import one_line

MOST_NAMED = 12
"""Fields that are named, by how often they occur."""
_MOST_KEPT = 1000
_LONGEST = 60
"""Characters of a name that are kept: a file may have any number of names, of any length."""
_MOST_ALIKE = 16
"""Sets of names that are counted before they are added up: they are kept as they are."""
_OTHERS = "…"
"""Stands for all names above that number."""


class NotUsed:
    """Counts the fields of a file that are not used."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self._counts: Counter[str] = Counter()
        self._alike: Counter[tuple[str, ...]] = Counter()
        """How many rows have the same: they are added up together."""
        self._first = 0

    def see(self, names: Iterable[str], line: int) -> None:
        """Count the fields of a row, each once, though several of its turns may have it."""
        self._alike[tuple(names)] += 1
        if len(self._alike) > _MOST_ALIKE:
            self._add_up()
        self._first = self._first or line

    @property
    def counts(self) -> Counter[str]:
        """In how many rows each is."""
        self._add_up()
        return self._counts

    def _add_up(self) -> None:
        counts = self._counts
        for names, rows in self._alike.items():
            for name in dict.fromkeys(map(_kept, names)):
                counts[name if name in counts or len(counts) < _MOST_KEPT else _OTHERS] += rows
        self._alike.clear()

    def faults(self, file: str) -> Iterator[Fault]:
        """Yield one note that names them, if there are any."""
        if counts := self.counts:
            yield Fault(
                file,
                self._first,
                None,
                "unused_fields",
                "note",
                _("fields that are not used, and in how many rows: {names}").format(names=named(counts)),
                _("nothing, where they are not part of question or answer"),
            )


def _kept(name: str) -> str:
    return name if len(name) <= _LONGEST else one_line(name, _LONGEST)


def named(counts: Mapping[str, int]) -> str:
    """Return fields and in how many rows each is, for people: the most frequent ones, and how many more."""
    most = Counter(counts).most_common(MOST_NAMED)
    left = len(counts) - len(most)
    more = ngettext(" and {n} more", " and {n} more", left).format(n=number(left)) if left else ""
    return ", ".join(f"{one_line(name, 30)} ({number(count)})" for name, count in most) + more
