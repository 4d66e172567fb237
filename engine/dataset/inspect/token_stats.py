"""Token figures of a file, from examples that pass by: a few bytes of each are kept."""

from array import array
from collections.abc import Sequence

from engine.dataset.batches.tokenize import Example
from engine.dataset.report import BINS, TokenFigures

import numpy as np
from numpy.typing import NDArray


class TokenCounter:
    """Is shown the examples of each row before truncation."""

    def __init__(self, limit: int) -> None:
        """Nothing was seen yet.

        Args:
            limit: tokens that are kept of an example, `max_seq_length`.
        """
        self._limit = limit
        self._lengths, self._completions = array("I"), array("I")
        self._total = self._trained = 0
        self.truncated: list[int] = []
        """Lines with more tokens than the limit."""
        self.dropped: list[int] = []
        """Lines of which nothing is left to learn within it."""

    def see(self, examples: Sequence[Example]) -> list[Example]:
        """Count the examples of a row; return those with a trained token within the limit, cut to it."""
        kept = [cut for example in examples if (cut := self._see(example))]
        if any(len(example.tokens) > self._limit for example in examples):
            self.truncated.append(examples[0].line)
        if examples and not kept:
            self.dropped.append(examples[0].line)
        return kept

    def _see(self, example: Example) -> Example | None:
        self._lengths.append(len(example.tokens))
        self._completions.append(int(example.trained.sum()))
        kept = example.cut(self._limit)
        trained = int(kept.trained.sum())
        if not trained:
            return None
        self._total += len(kept.tokens)
        self._trained += trained
        return kept

    def figures(self) -> TokenFigures | None:
        """Return the figures; None where nothing was seen."""
        if not self._lengths:
            return None
        lengths, completions = (np.array(values, np.int64) for values in (self._lengths, self._completions))
        longest = int(lengths.max())
        return TokenFigures(
            shortest=int(lengths.min()),
            median=int(np.median(lengths)),
            longest=longest,
            total=self._total,
            trained=self._trained,
            cut=int(np.maximum(lengths - self._limit, 0).sum()),
            histogram=_histogram(lengths, longest),
            prompt_histogram=_histogram(lengths - completions, longest),
            completion_histogram=_histogram(completions, longest),
            truncated_lines=tuple(self.truncated),
            dropped_lines=tuple(self.dropped),
        )


def _histogram(values: NDArray[np.int64], longest: int) -> tuple[int, ...]:
    return tuple(np.histogram(values, bins=BINS, range=(0, longest))[0].tolist())
