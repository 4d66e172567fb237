"""What is tried: candidates beside the chosen settings, how far each is trained, and what that takes.

Successive halving (Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter
Optimization", 2016) with two rungs: all candidates make a third of their steps, the better half makes the
rest. The learning-rate schedule of each is that of its whole run from the beginning, and what goes on goes
on exactly, so that a finalist's run is that of `train` with its settings, byte for byte.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from engine.config import TrainingConfig
from engine.errors import WrongUsage
from engine.i18n import _
from engine.setting_words import setting_text

FIRST_SHARE = 1 / 3
"""Of its steps that each candidate makes before half of them are left out."""
MOST = 9
"""Candidates, the chosen settings included."""
_AROUND = (1 / 3, 1.0, 3.0)
"""Learning rates that are tried by default, times the rule of thumb."""
_SAME = 1.25
"""Learning rates that are no more than this apart are tried once."""


@dataclass(frozen=True)
class Candidate:
    """Settings that differ from those that are chosen; none for these themselves."""

    values: dict[str, Any]

    @property
    def is_chosen(self) -> bool:
        """Whether it is the settings that are chosen now, which all others are compared with."""
        return not self.values

    def config(self, chosen: TrainingConfig) -> TrainingConfig:
        """Return its configuration; with another rank the strength alpha / rank of the adapter stays."""
        values = dict(self.values)
        if "lora_rank" in values:
            values["lora_alpha"] = chosen.lora_alpha * values["lora_rank"] / chosen.lora_rank
        return chosen.updated(values)

    def folder_name(self, chosen: TrainingConfig) -> str:
        """Return the name of its run in the archive, the same in every language."""
        return ", ".join(f"{name} {value}" for name, value in self._told(chosen).items())

    def label(self, chosen: TrainingConfig) -> str:
        """Return its values in words, such as "learning_rate 3e-4, lora_rank 16"."""
        return ", ".join(f"{name} {setting_text(name, value)}" for name, value in self._told(chosen).items())

    def _told(self, chosen: TrainingConfig) -> dict[str, Any]:
        return self.values or {"learning_rate": chosen.learning_rate}


def candidates(
    chosen: TrainingConfig,
    rates: Sequence[float],
    ranks: Sequence[int],
    epochs: Sequence[int],
    usual: float | None,
) -> tuple[Candidate, ...]:
    """Return what is tried, the chosen settings first.

    Args:
        chosen: the settings that are chosen.
        rates: learning rates; with none, and no ranks and epochs either, those around the rule of thumb.
        ranks: ranks of the adapter; none leaves it.
        epochs: epochs; none leaves them.
        usual: learning rate by rule of thumb; None takes the chosen one for that.

    Raises:
        WrongUsage: there are too many of them, or none but the chosen settings.
        UserError: a value is out of its range.
    """
    if not (rates or ranks or epochs):
        rates = tuple(_rounded((usual or chosen.learning_rate) * factor) for factor in _AROUND)
    found = [Candidate({})]
    for rate, rank, count in product(_or_none(rates), _or_none(ranks), _or_none(epochs)):
        values = {"learning_rate": rate, "lora_rank": rank, "num_epochs": count}
        named = {name: value for name, value in values.items() if value is not None}
        changed = {name: value for name, value in named.items() if value != getattr(chosen, name)}
        if changed.keys() == {"learning_rate"} and _is_near(changed["learning_rate"], chosen.learning_rate):
            continue
        candidate = Candidate(changed)
        candidate.config(chosen)  # refuses what is out of range
        if candidate not in found:
            found.append(candidate)
    if not 2 <= len(found) <= MOST:
        problem = _("Nothing is named that differs from the chosen settings")
        if len(found) > MOST:
            problem = _("Too many settings to try: {n} with the chosen ones, of {most} at most")
        raise WrongUsage(
            problem.format(n=len(found), most=MOST),
            _("name other values with --learning-rates, --ranks or --epochs"),
        )
    return tuple(found)


def _or_none(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(values) or (None,)


def _is_near(one: float, other: float) -> bool:
    return max(one, other) <= _SAME * min(one, other)


def _rounded(rate: float) -> float:
    """Return a rate with one digit, or two below 2, within what a run takes: nobody knows it better."""
    digits = 1 if float(f"{rate:.0e}") >= 2 * 10 ** math.floor(math.log10(rate)) else 2
    return float(f"{min(rate, 0.1):.{digits}g}")


def survivors(losses: Sequence[float | None]) -> list[int]:
    """Return which candidates are trained to the end: the better half, and the first, in their order.

    Args:
        losses: validation loss of each at the first rung; None where it broke, which is worst.
    """
    order = sorted(range(len(losses)), key=lambda place: (losses[place] is None, losses[place] or 0.0))
    return sorted({0, *order[: math.ceil(len(losses) / 2)]})


def steps_in_all(steps: Sequence[int]) -> Iterator[int]:
    """Yield the most steps that each candidate takes, given those of its whole run: the worst case.

    The half that goes on is taken to be the longest.
    """
    most = math.ceil(len(steps) / 2) + 1
    longest = sorted(range(len(steps)), key=lambda place: -steps[place])[:most]
    for place, whole in enumerate(steps):
        yield whole if place in longest else math.ceil(FIRST_SHARE * whole)
