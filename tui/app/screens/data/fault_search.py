"""Faults counted and searched a part at a time, so that a million of them do not hold up the app."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from engine.dataset.fault_kinds import kind_words
from engine.dataset.report import Fault, Severity
from tui.words import searchable

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
_PART = 2_000
"""Faults that are looked at without a break: about 2 ms."""


@dataclass(frozen=True)
class Overview:
    """What there is of faults."""

    kinds: tuple[tuple[Severity, str, int], ...] = ()
    """Severity, kind and count, what is worst and most frequent first."""
    pairs: tuple[Fault, ...] = ()
    """Those that concern two rows."""

    def count(self, severity: Severity) -> int:
        """Return how many faults are of a severity."""
        return sum(count for of, _kind, count in self.kinds if of == severity)

    @property
    def total(self) -> int:
        """How many faults there are."""
        return sum(count for _severity, _kind, count in self.kinds)


@dataclass(frozen=True)
class FaultFilter:
    """Which faults are wanted; the default is all of them."""

    text: str = ""
    """Words that all occur in kind (by its name or in words), message, file and line."""
    severity: Severity | None = None

    def admitted(self, faults: Sequence[Fault]) -> list[Fault]:
        """Return those of `faults` that are wanted."""
        words = searchable(self.text).split()
        if self.severity:
            faults = [fault for fault in faults if fault.severity == self.severity]
        return [fault for fault in faults if _has(fault, words)] if words else list(faults)


@dataclass(frozen=True)
class Found:
    """The first faults of those wanted, and how many those are."""

    first: tuple[Fault, ...] = ()
    total: int = 0


async def overview(faults: Sequence[Fault]) -> Overview:
    """Count faults by kind, and pick out the pairs."""
    counts: Counter[tuple[Severity, str]] = Counter()
    pairs: list[Fault] = []
    async for part in _parts(faults):
        counts.update([(fault.severity, fault.kind) for fault in part])
        pairs += [fault for fault in part if fault.other]
    ranked = sorted(counts.items(), key=lambda item: (SEVERITIES.index(item[0][0]), -item[1], item[0][1]))
    return Overview(tuple((*which, count) for which, count in ranked), tuple(pairs))


async def search(faults: Sequence[Fault], wanted: FaultFilter, most: int) -> Found:
    """Look through all faults; return at most `most` of those wanted, and the number of all of them."""
    first: list[Fault] = []
    total = 0
    async for part in _parts(faults):
        admitted = wanted.admitted(part)
        first += admitted[: most - len(first)]
        total += len(admitted)
    return Found(tuple(first), total)


async def _parts(faults: Sequence[Fault]) -> AsyncIterator[Sequence[Fault]]:
    for begin in range(0, len(faults), _PART):
        yield faults[begin : begin + _PART]
        await asyncio.sleep(0)


def _has(fault: Fault, words: list[str]) -> bool:
    text = searchable(f"{fault.kind} {kind_words(fault.kind)} {fault.message} {fault.file} {fault.line}")
    return all(word in text for word in words)
