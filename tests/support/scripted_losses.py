"""Validations whose losses are given beforehand."""

from collections.abc import Iterator
from typing import Any

from engine.training import loop

import pytest


def scripted(monkeypatch: pytest.MonkeyPatch, losses: list[float]) -> None:
    """Make the validations give these losses, one after the other."""
    script = iter(losses)

    def evaluate(*_args: Any) -> Iterator[tuple[int, float]]:
        yield 1, next(script)

    monkeypatch.setattr(loop, "evaluate", evaluate)
