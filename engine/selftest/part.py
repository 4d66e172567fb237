"""The parts of the self-test: what is tried, that it begins, and what came of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from engine.hardware.report import Check, CheckStatus
from engine.selftest.bench import Bench

TrialStatus = CheckStatus | Literal["skipped"]


@dataclass(frozen=True)
class Part:
    """One thing that is tried."""

    id: str
    label: Callable[[], str]
    """Short translated name."""
    limit_s: float
    """Seconds after which it is given up."""
    try_it: Callable[[Bench, float], Check]
    """Gets the limit and returns what it found, see `found`; it may raise `Skipped`, or anything else
    where it fails."""


@dataclass(frozen=True)
class Begun:
    """A part is being tried."""

    label: str
    number: int
    total: int
    """Which of the parts it is, from 1, and how many there are."""
    limit_s: float
    """Seconds after which it is given up."""


@dataclass(frozen=True)
class Trial:
    """A part that was tried, or could not be."""

    check: Check
    seconds: float
    is_skipped: bool = False
    """Whether what it needs is not there; the reason is the check's detail."""

    @property
    def status(self) -> TrialStatus:
        """How it went."""
        return "skipped" if self.is_skipped else self.check.status


class Skipped(Exception):
    """What a part needs is not there; its text is the reason, without a full stop."""


def found(value: str, status: CheckStatus = "ok", detail: str = "", fix: str = "") -> Check:
    """Return what a part found; `engine.selftest.run` gives it the part's id and label."""
    return Check("", "", value, status, detail, fix)
