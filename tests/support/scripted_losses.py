"""Validations whose losses are given beforehand."""

from collections.abc import Iterator
from typing import Any

from engine.training import validation
from engine.training.progress import Scored

import pytest


def scripted(monkeypatch: pytest.MonkeyPatch, losses: list[float]) -> None:
    """Make the validations give these losses, one after the other."""
    script = iter(losses)

    def evaluate(*_args: Any) -> Iterator[Scored]:
        yield Scored(1, next(script), 1)

    monkeypatch.setattr(validation, "evaluate", evaluate)
