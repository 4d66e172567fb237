"""How an answer compares with the one that was wanted: SQuAD's measures, loops, and copies of training rows.

Exact match and token F1 are those of SQuAD's own script (Rajpurkar et al., 2016, evaluate-v1.1.py): small
letters, no punctuation, no English articles, words split at white space. Repetition is seq-rep-4 of Welleck
et al. (2019, "Neural Text Generation with Unlikelihood Training").
"""

import hashlib
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence

from engine.evaluation.results import AnswerFigures, AskedRow, ScoredAnswer

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = frozenset(string.punctuation)
_PIECE = 4
"""Tokens that count as repeated together."""
_LEAST_PIECES = 8
"""Of an answer that can be said to loop."""
_LOOPS = 0.5
"""Share of repeated pieces from which on it does."""
_LEAST_WORDS = 3
"""Of an answer that is taken from somewhere: shorter ones are alike by themselves."""


def normalised(text: str) -> str:
    """Return a text as SQuAD compares it."""
    without = "".join(letter for letter in text.lower() if letter not in _PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", without).split())


def is_exact(answer: str, reference: str) -> bool:
    """Whether two answers are the same, compared as SQuAD does."""
    return normalised(answer) == normalised(reference)


def token_f1(answer: str, reference: str) -> float:
    """Return the harmonic mean of the shares of words that each has of the other, 0 to 1.

    Where one of them has no word it is 1 if neither has (as in SQuAD 2.0), else 0.
    """
    found, wanted = normalised(answer).split(), normalised(reference).split()
    if not found or not wanted:
        return float(found == wanted)
    common = (Counter(found) & Counter(wanted)).total()
    return 2 * common / (len(found) + len(wanted))


def contains(answer: str, reference: str) -> bool:
    """Whether the reference stands in the answer as whole words, compared as SQuAD does."""
    return f" {normalised(reference)} " in f" {normalised(answer)} "


def repeated_share(tokens: Sequence[int]) -> float:
    """Return the share of runs of four tokens that were there before: 1 - different ones / all."""
    pieces = [tuple(tokens[begin : begin + _PIECE]) for begin in range(len(tokens) - _PIECE + 1)]
    return 1 - len(set(pieces)) / len(pieces) if pieces else 0.0


def loops(tokens: Sequence[int]) -> bool:
    """Whether an answer says the same over and over: at least half of it was there before."""
    return len(tokens) - _PIECE + 1 >= _LEAST_PIECES and repeated_share(tokens) >= _LOOPS


class TrainedAnswers:
    """The answers of the training rows, of each its hash and first line: 100 bytes a row."""

    def __init__(self) -> None:
        """None was seen yet."""
        self._lines: dict[bytes, int] = {}

    def see(self, answer: str, line: int) -> None:
        """Take note of the answer of a training row."""
        if len(answer.split()) >= _LEAST_WORDS:
            self._lines.setdefault(_key(answer), line)

    def line_of(self, answer: str, reference: str) -> int | None:
        """Return the line of a training row with this answer, which is not the one that was wanted."""
        if is_exact(answer, reference):
            return None
        return self._lines.get(_key(answer))


def _key(text: str) -> bytes:
    plain = " ".join(unicodedata.normalize("NFC", text).split())
    return hashlib.blake2b(plain.encode(errors="replace"), digest_size=16).digest()


def figures(answers: Sequence[ScoredAnswer], asked: Sequence[AskedRow]) -> AnswerFigures | None:
    """Return the answers of one model together; None where there are none."""
    count = len(answers)
    if not count:
        return None
    return AnswerFigures(
        exact=sum(each.exact for each in answers) / count,
        f1=sum(each.f1 for each in answers) / count,
        contains=sum(each.contains for each in answers) / count,
        stopped=sum(each.end == "complete" for each in answers) / count,
        length=sum(each.tokens for each in answers) / max(1, sum(row.tokens for row in asked)),
        loops=sum(each.loops for each in answers) / count,
        copies=sum(each.copy_of is not None for each in answers),
    )
