"""Texts as tokens, and which token a place in a text falls on."""

import re
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from engine.i18n import _
from engine.model_folder.panics import refused_panics

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding

Tokens = NDArray[np.int32]
"""Shape (length,)."""
_TAILS = 1024
"""So many ends of prompts are remembered; nearly always there is but one."""


class TextEncoder:
    """Encodes texts with a model's fast tokenizer, control tokens as such and no token added.

    Text between two control tokens is encoded by itself, whatever stands before and after. So a
    prompt that holds one need not be encoded again to find where it ends in a longer text:
    its control tokens are counted, and what follows the last of them is compared.
    """

    def __init__(self, tokenizer: Any, special: Collection[int]) -> None:
        """Ready it.

        Args:
            tokenizer: of transformers; truncation and padding of its file are turned off.
            special: ids of its control tokens.
        """
        self._backend = tokenizer.backend_tokenizer
        self._backend.no_truncation()
        self._backend.no_padding()
        self._is_special = np.zeros(max(tokenizer.get_vocab().values(), default=0) + 1, bool)
        self._is_special[list(special)] = True
        self.control = tuple(filter(None, texts_of(tokenizer, special)))
        """The control tokens as text."""
        longest_first = sorted(self.control, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        self._firsts = {mark[0] for mark in self.control}
        self.tail = lru_cache(_TAILS)(self.tokens)
        """The tokens of the end of a prompt."""

    def encode(self, texts: Sequence[str]) -> list[Encoding]:
        """Return texts as the tokenizer encodes them, see `tokens_of`; other threads go on meanwhile."""
        with refused_panics(_("Splitting a text into tokens")):
            found: list[Encoding] = self._backend.encode_batch_fast(list(texts), add_special_tokens=False)
        return found

    def control_in(self, text: str) -> Iterator[str]:
        """Yield the control tokens that stand in a text."""
        if any(first in text for first in self._firsts):
            for found in self._pattern.finditer(text):
                yield found[0]

    def places(self, text: str, tokens: Tokens) -> "Places":
        """Return what tells which token a place in a text falls on.

        Args:
            text: the text.
            tokens: of it.
        """
        ends = [found.end() for found in self._pattern.finditer(text)]
        (control,) = np.nonzero(self._is_special[tokens])
        return Places(self, text, tokens, control.tolist() if len(control) == len(ends) else [], ends)

    def tokens(self, text: str) -> Tokens:
        """Return the tokens of a text."""
        return tokens_of(self.encode([text])[0])

    def mark_before(self, text: str, end: int) -> int:
        """Return how long the control token is that ends at `end`."""
        return next(len(mark) for mark in self.control if text.endswith(mark, 0, end))

    def spans(self, text: str) -> NDArray[np.int64]:
        """Return begin and end of each token in a text, shape (length, 2)."""
        with refused_panics(_("Splitting a text into tokens")):
            offsets = self._backend.encode(text, add_special_tokens=False).offsets
        return np.array(offsets, np.int64).reshape(-1, 2)


@dataclass(frozen=True)
class Places:
    """A text and its tokens."""

    encoder: TextEncoder
    text: str
    tokens: Tokens
    control: list[int]
    """Which tokens are control tokens; empty where they cannot be told from those in the text."""
    ends: list[int]
    """Where in the text each control token ends."""

    def split(self, begin: int) -> tuple[int, bool]:
        """Return the first token after a prompt, and whether one lies across the border.

        Args:
            begin: characters of the prompt.
        """
        index = self._after_control(begin) if begin else 0
        if index is not None:
            return index, False
        before = self.encoder.tokens(self.text[:begin])
        if np.array_equal(self.tokens[: len(before)], before):
            return len(before), False
        ends = np.append(0, self.encoder.spans(self.text)[:, 1])
        within = int(np.searchsorted(ends[1:], begin, side="right"))
        # A token that begins before the border, or in white space that its tokenizer counts to no token.
        return within + int(ends[within] < begin), True

    def end(self, end: int, is_mark: bool) -> int:
        """Return the first token after an answer.

        Args:
            end: characters up to its end.
            is_mark: whether a control token ends it.
        """
        if end == len(self.text):
            return len(self.tokens)
        if is_mark and self.control and end in self.ends:
            return self.control[self.ends.index(end)] + 1
        spans = self.encoder.spans(self.text)
        # A control token may take the white space after it along.
        return int(np.searchsorted(spans[:, 0] if is_mark else spans[:, 1] - 1, end))

    def _after_control(self, begin: int) -> int | None:
        """Return the first token after a prompt by its last control token; None where that does not tell."""
        count = bisect_right(self.ends, begin)
        if not count or not self.control:
            return None
        last, index = self.ends[count - 1], self.control[count - 1]
        tail = self.encoder.tail(self.text[last - self.encoder.mark_before(self.text, last) : begin])
        return index + len(tail) if np.array_equal(self.tokens[index : index + len(tail)], tail) else None


def tokens_of(encoding: Encoding) -> Tokens:
    """Return the tokens of an encoded text."""
    return np.array(encoding.ids, np.int32)


def texts_of(tokenizer: Any, ids: Iterable[int]) -> list[str]:
    """Return tokens as text; numbers that the tokenizer does not know are left out."""
    found = tokenizer.convert_ids_to_tokens([index for index in ids if 0 <= index < len(tokenizer)])
    return [text for text in found if isinstance(text, str)]
