"""How much of a difference between two validations is chance: the same rows, compared one by one."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from engine.analysis.validations import Validations
from engine.files import stamp_of
from engine.project import Project
from engine.training.history import Floats
from engine.training.state import RunState
from engine.training.validation_rows import RowLosses, read_row_losses

import numpy as np

LEAST_GROUPS = 5
"""Of fewer rows nothing can be said of chance."""
_NORMAL = 1.959964
"""The 97.5 % quantile of a normal distribution."""
_FEW_FREEDOM = (12.706, 4.303, 3.182)
"""The quantiles of Student's t with 1, 2 and 3 degrees of freedom."""


@dataclass(frozen=True)
class Difference:
    """By how much one validation lost more than another, nats per trained token."""

    mean: float
    error: float
    """Its standard error, as rows differ in it."""
    margin: float
    """Half of its 95 % interval."""

    @property
    def is_chance(self) -> bool:
        """Whether the interval has 0 in it."""
        return abs(self.mean) <= self.margin


def difference(one: RowLosses | None, other: RowLosses | None) -> Difference | None:
    """Return how much more `one` lost than `other`; None where they are not of the same rows, or of too few.

    The mean is a ratio of sums over rows, sum(d) / sum(tokens), and its standard error that of the ratio
    estimator with the rows as sample (Cochran, Sampling Techniques, 1977, 6.4): rows are what might have
    been others, tokens of one row depend on each other.
    """
    if one is None or other is None or one.tokens != other.tokens or len(one.tokens) < LEAST_GROUPS:
        return None
    tokens: Floats = np.asarray(one.tokens, np.float64)  # (groups,)
    apart: Floats = np.asarray(one.losses, np.float64) - np.asarray(other.losses, np.float64)
    total, count = float(tokens.sum()), len(tokens)
    if not total:
        return None
    mean = float(apart.sum()) / total
    rest = apart - mean * tokens
    error = float(np.sqrt(count / (count - 1) * np.square(rest).sum())) / total
    return Difference(mean, error, t_quantile(count - 1) * error)


def growth_margin(noise: float | None, apart: Difference | None, means: tuple[int, int]) -> float:
    """Return half of the 95 % interval of the growth of the gap between validation and training loss.

    Two standard deviations of the difference between two means of training losses, and the margin of that
    between last and first validation, as far as it is known; independent of each other.

    Args:
        noise: standard deviation of a single training loss.
        apart: last validation minus the first.
        means: steps that each mean is of.
    """
    steps = 2 * (noise or 0.0) * math.sqrt(sum(1 / count for count in means))
    return math.hypot(steps, apart.margin if apart else 0.0)


def t_quantile(freedom: int) -> float:
    """Return the 97.5 % quantile of Student's t, to 3e-3.

    From 4 degrees of freedom on by the expansion in Abramowitz and Stegun, Handbook of Mathematical
    Functions, 26.7.5.
    """
    if freedom <= len(_FEW_FREEDOM):
        return _FEW_FREEDOM[freedom - 1]
    z = _NORMAL
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return z + math.fsum(term / freedom**power for power, term in enumerate(terms, 1))


def enough_step(found: dict[int, RowLosses], steps: Iterable[int], best: int) -> int | None:
    """Return the earliest step that is not worse than the best beyond one standard error; None if unknown.

    The one-standard-error rule (Breiman, Friedman, Olshen and Stone, Classification and Regression Trees,
    1984; Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, 7.10), with the error of the
    difference over the same rows in place of that of the best alone.

    Args:
        found: what validations lost on each row, by step.
        steps: that were validated.
        best: step of the lowest.
    """
    if (at_best := found.get(best)) is None or len(at_best.tokens) < LEAST_GROUPS:
        return None
    for step in sorted(step for step in steps if step < best):
        apart = difference(found.get(step), at_best)
        if apart is not None and apart.mean <= apart.error:
            return step
    return best


def noise_facts(
    project: Project, checked: Validations, state: RunState | None, best: int | None
) -> dict[str, Any]:
    """Return the fields of a summary that the losses of rows give, and how far its last validation is from
    that before the first step (`from_start`).

    Args:
        project: of the run.
        checked: its validations.
        state: tells the one before the first step.
        best: step of the lowest.
    """
    losses = dict(zip(checked.steps.tolist(), checked.losses.tolist(), strict=True))
    before = {0: state.initial_val_loss} if state and state.initial_val_loss is not None else {}
    rows = known_rows(project, losses | before)
    last = rows.get(-1 if checked.last_step is None else checked.last_step)
    at_best = None if best is None else rows.get(best)
    enough = None if best is None else enough_step(rows, losses, best)
    to_best = None if enough is None else difference(rows.get(enough), at_best)
    return {
        "validation_rows": len(at_best.tokens) if at_best else None,
        "gain": difference(rows.get(0), at_best),
        "rise": difference(last, at_best),
        "from_start": difference(last, rows.get(0)),
        "enough_step": enough,
        "enough_val_loss": None if enough is None else losses[enough],
        "enough": to_best,
    }


def known_rows(project: Project, losses: dict[int, float]) -> dict[int, RowLosses]:
    """Return what validations lost on each row, by step; nothing where it cannot be read.

    Args:
        project: of the run.
        losses: validation loss by step, 0 before the first; a line that tells of another is left out.
    """
    rows = _rows(project, stamp_of(project.row_losses_file))
    return {row.step: row for row in rows if row.step in losses and _is_of(row, losses[row.step])}


@lru_cache(maxsize=1)  # of a long run these are megabytes
def _rows(project: Project, _stamp: object) -> tuple[RowLosses, ...]:
    """Read the file once for each time that it changed: a run that goes on is looked at every second."""
    try:
        return read_row_losses(project)
    except OSError:
        return ()


def _is_of(row: RowLosses, loss: float) -> bool:
    tokens = sum(row.tokens)
    return tokens > 0 and math.isclose(sum(row.losses) / tokens, loss, rel_tol=1e-3, abs_tol=1e-3)
