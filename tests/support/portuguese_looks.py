"""What does not look Portuguese in a text: English words, points before decimals, units without a number."""

import re
from collections.abc import Collection, Iterator
from functools import cache

from engine.config import TrainingConfig
from engine.i18n.catalogue import path_of, read
from engine.lora_targets import ALL_TARGETS

_FIELD = re.compile(r"\{[^{}]*\}")
_WORD = re.compile(r"(?<![\w/.=│┌└-])[^\W\d_]+(?:[-_][^\W\d_]+)*(?![\w/=│┌└-])")
"""A whole word: one that touches a frame is what a dialog leaves to be seen of another."""
_NAMES = ("system", "user", "assistant", "tool")
"""Of roles, which are the same in every language, as those of settings are."""
_SHORTEST = 4
"""Letters of a word that tells of a language."""
_AS_TYPED = re.compile(r"\b\w+ \((?=\w+\))")
"""A choice of a setting, before what it means."""
_WITH_A_POINT = re.compile(r"(?<![\w.,/-])\d+\.\d+(?:e[+-]?\d+)?(?![\w/]|\.\w)")
_ALONE = re.compile(r"\d\s*[│|]?\n[│|\s]*((?:tokens?|[kMG]B|GiB|%|tok/s|min|ms)(?!\w).*)")
"""A unit at the beginning of a line, after a number at the end of another."""


@cache
def english_words() -> frozenset[str]:
    """Return the words that this program says in English and in no Portuguese text."""
    english: set[str] = set()
    other: set[str] = {*TrainingConfig.model_fields, *ALL_TARGETS, *_NAMES}
    for text, forms in read(path_of("pt")).items():
        english |= words_of(text)
        other |= {word for form in forms for word in words_of(form)}
    return frozenset(word for word in english - other if len(word) >= _SHORTEST)


def _begins_a_setting(word: str) -> bool:
    """Whether it may be one that a list lies over."""
    return any(name.startswith(word) for name in TrainingConfig.model_fields)


def words_of(text: str) -> set[str]:
    """Return the words of a text, in small letters, without what is filled in or part of a path."""
    return {word.lower() for word in _WORD.findall(_FIELD.sub(" ", text))}


def not_portuguese(text: str, quoted: Collection[str] = ()) -> Iterator[str]:
    """Yield what does not look Portuguese.

    Args:
        text: as it stands on a screen, with its lines.
        quoted: texts in it that others wrote.
    """
    theirs = {word for each in quoted for word in words_of(each)}
    found = words_of(_AS_TYPED.sub("(", text)) & english_words() - theirs
    yield from (f"English: {word!r}" for word in sorted(found) if not _begins_a_setting(word))
    quotes = " ".join(quoted)
    yield from (f"a point: {each}" for each in _WITH_A_POINT.findall(text) if each not in quotes)
    yield from (f"a unit alone: {each!r}" for each in _ALONE.findall(text))
