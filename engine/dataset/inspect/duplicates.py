"""Rows that are there twice, nearly twice, or with two answers: in one file, and in both.

A row of the validation set that is also trained on makes the validation loss too good; duplicates weigh
double; two answers to one prompt teach neither.
"""

import hashlib
import unicodedata
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from engine.dataset.inspect.near_duplicates import NearDuplicates
from engine.dataset.jsonl.row import Row
from engine.dataset.jsonl.turns import answers_of, spoken
from engine.dataset.report import Fault, Place, Severity
from engine.i18n import _

import numpy as np
from numpy.typing import NDArray

DuplicateKind = Literal["duplicate", "near_duplicate", "other_answer", "leak", "near_leak"]
MOST_ROWS = 100_000
"""Near-duplicates are looked for among so many rows: each takes 0.1 ms and two kilobytes."""
_NOT_THE_SAME = 0.99
"""Likeness of near-duplicates as it is told at most: what has all parts in common may still differ."""
Keys = NDArray[np.uint64]


@dataclass(frozen=True)
class Duplicates:
    """Two rows that should not both be there, the later one first."""

    kind: DuplicateKind
    row: Place
    other: Place
    likeness: float
    """Share of the parts of both texts that both have, 0 to 1."""


@dataclass
class _File:
    """What is kept of a file's rows: 20 bytes each."""

    name: str
    prompts: "array[int]" = field(default_factory=lambda: array("Q"))
    wholes: "array[int]" = field(default_factory=lambda: array("Q"))
    lines: "array[int]" = field(default_factory=lambda: array("L"))


class DuplicateFinder:
    """Is shown the rows of the training file, then those of the validation file."""

    def __init__(self, train: str, valid: str) -> None:
        """Nothing was seen yet.

        Args:
            train: name of the training file.
            valid: name of the validation file.
        """
        self._train, self._valid = _File(train), _File(valid)
        self._near = NearDuplicates()
        self._seen: set[int] = set()
        self._nearly: list[Duplicates] = []
        self.is_complete = True
        """Whether near-duplicates were looked for among all rows."""

    def see(self, file: str, row: Row) -> None:
        """Take note of a row of `file`."""
        prompt, answer = _texts(row)
        of = self._train if file == self._train.name else self._valid
        whole = _key(f"{prompt}\0{answer}")
        of.prompts.append(_key(prompt) if prompt else whole)
        of.wholes.append(whole)
        of.lines.append(row.line)
        if whole in self._seen:
            return
        if len(self._seen) >= MOST_ROWS:
            self.is_complete = False
            return
        self._seen.add(whole)
        place = Place(file, row.line)
        if found := self._near.nearest(place, f"{prompt} {answer}"):
            kind: DuplicateKind = "near_leak" if found[0].file != file else "near_duplicate"
            self._nearly.append(Duplicates(kind, place, *found))

    def duplicates(self) -> Iterator[Duplicates]:
        """Yield what was found, exact duplicates first."""
        exact = [*_inside(self._train), *_inside(self._valid), *_leaks(self._train, self._valid)]
        yield from exact
        exact_rows = {
            duplicates.row for duplicates in exact
        }  # how alike the answers to one prompt are does not matter
        yield from (duplicates for duplicates in self._nearly if duplicates.row not in exact_rows)


def as_fault(duplicates: Duplicates) -> Fault:
    """Return a warning at the later row; a note where two of one file are only alike, which may be meant."""
    line, file = duplicates.other.line, duplicates.other.file
    message, fix = {
        "duplicate": (_("the same as line {line}"), _("drop one of them")),
        "near_duplicate": (_("{share:.0%} the same as line {line}"), _("see that both are meant")),
        "other_answer": (_("same prompt as line {line}, other answer"), _("choose one")),
        "leak": (_("its prompt is also in {file} (line {line})"), _("move or drop it")),
        "near_leak": (_("{share:.0%} the same as line {line} of {file}"), _("move or drop it")),
    }[duplicates.kind]
    text = message.format(line=line, file=file, share=min(duplicates.likeness, _NOT_THE_SAME))
    severity: Severity = "note" if duplicates.kind == "near_duplicate" else "warning"
    return Fault(
        duplicates.row.file, duplicates.row.line, None, duplicates.kind, severity, text, fix, duplicates.other
    )


def _texts(row: Row) -> tuple[str, str]:
    """Return what a row asks and what it answers, without differences that nobody sees."""
    if row.text:
        return "", _plain(row.text)
    last = max(index for index in answers_of(row.messages) if index not in row.untrained)
    before = "\n".join(f"{turn['role']} {_plain(spoken(turn))}" for turn in row.messages[:last])
    return before, _plain(spoken(row.messages[last]))


def _plain(text: str) -> str:
    """Return a text with one space for any white space, and accents written in one way."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def _key(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def _first(keys: Keys) -> NDArray[np.int64]:
    """Return for each key the index of the first that is equal."""
    _values, index, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return index[inverse]


def _inside(file: _File) -> Iterator[Duplicates]:
    """Yield the later rows of a file that are the same as one before, or answer its prompt otherwise."""
    prompts, wholes = _first(np.array(file.prompts, np.uint64)), _first(np.array(file.wholes, np.uint64))
    own = np.arange(len(wholes))
    for kind, firsts, rows in (
        ("duplicate", wholes, np.flatnonzero(wholes != own)),
        ("other_answer", prompts, np.flatnonzero((wholes == own) & (prompts != own))),
    ):
        for index in rows.tolist():
            row, other = (Place(file.name, file.lines[i]) for i in (index, int(firsts[index])))
            yield Duplicates(kind, row, other, 1.0)  # type: ignore[arg-type]


def _leaks(train: _File, valid: _File) -> Iterator[Duplicates]:
    """Yield the rows to validate with whose prompt is trained on."""
    keys, index = np.unique(np.array(train.prompts, np.uint64), return_index=True)
    if not len(keys):
        return
    wanted = np.array(valid.prompts, np.uint64)
    found = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    for row in np.flatnonzero(keys[found] == wanted).tolist():
        other = train.lines[int(index[found[row]])]
        yield Duplicates("leak", Place(valid.name, valid.lines[row]), Place(train.name, other), 1.0)
