"""Measures what a sitting spends on padding, on different shapes and on validation."""

import time
from collections.abc import Sequence

from engine.dataset.batches.cut import BatchShape
from engine.dataset.batches.micro_batch import MicroBatch
from engine.training.events import Usage


class UsageMeter:
    """Adds up what a sitting does."""

    def __init__(self) -> None:
        """Begin to count the time."""
        self._began = self._scored = time.monotonic()
        self._evaluation_s = 0.0
        self._padding = 0
        self._tokens = 0
        self._shapes: set[BatchShape] = set()

    def step(self, batches: Sequence[MicroBatch]) -> None:
        """Count the micro-batches of one optimizer step."""
        for batch in batches:
            self._padding += batch.padding
            self._tokens += batch.tokens.size
            self._shapes.add(batch.shape)

    def validation(self, batches: Sequence[MicroBatch]) -> None:
        """A validation on these micro-batches begins."""
        self._shapes.update(batch.shape for batch in batches)
        self._scored = time.monotonic()

    def scored(self) -> None:
        """Count the time of a validation since it began or was counted last."""
        before, self._scored = self._scored, time.monotonic()
        self._evaluation_s += self._scored - before

    def read(self) -> Usage:
        """Return the figures as of now."""
        spent = time.monotonic() - self._began
        return Usage(
            padding=round(self._padding / self._tokens, 4) if self._tokens else None,
            shapes=len(self._shapes),
            evaluation=round(min(1.0, self._evaluation_s / spent), 4) if self._shapes and spent else None,
        )
