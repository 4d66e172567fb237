"""Intervals by resampling rows: the paired bootstrap (Efron and Tibshirani, 1993, chapters 6, 8 and 13)."""

import math
from dataclasses import dataclass

from engine.analysis.noise import t_quantile
from engine.evaluation.results import Change, Estimate

import numpy as np
from numpy.typing import NDArray

RESAMPLINGS = 4000
"""Drawn sets of rows; with so many the ends of an interval no longer move in the second digit."""
SEED = 20
_AT_ONCE = 1 << 20
"""Drawn rows that are held in memory at a time."""

Totals = NDArray[np.float64]


@dataclass(frozen=True)
class Resampled:
    """The mean losses of several models on the same rows, and on the same sets drawn from these."""

    means: Totals
    """Nats per token, shape (models,)."""
    drawn: Totals
    """Shape (models, `RESAMPLINGS`)."""
    row_losses: Totals
    """Nats per token of each row, shape (models, rows)."""

    def loss(self, model: int) -> Estimate:
        """Return the mean loss of a model."""
        return self._estimate(float(self.means[model]), self.drawn[model])

    def perplexity(self, model: int) -> Estimate:
        """Return exp of the mean loss; far too large a loss gives the largest number there is."""
        with np.errstate(over="ignore"):
            value, drawn = np.exp(self.means[model]), np.exp(self.drawn[model])
        return self._estimate(float(min(value, 1e300)), np.minimum(drawn, 1e300))

    def change(self, model: int, base: int = 0) -> Change:
        """Return what a model's loss is above another one's, of the same drawn sets."""
        rows, before = self.row_losses[model], self.row_losses[base]
        loss = self._estimate(
            float(self.means[model] - self.means[base]), self.drawn[model] - self.drawn[base]
        )
        return Change(loss, int((rows < before).sum()), len(rows))

    def _estimate(self, value: float, drawn: Totals) -> Estimate:
        if (rows := self.row_losses.shape[1]) < 2:
            return Estimate(value, None, None)
        low, high = np.percentile(drawn, percentiles(rows))
        return Estimate(value, float(low), float(high))


def percentiles(rows: int) -> tuple[float, float]:
    """Return the percentiles of drawn means between which 95 % lie, for a number of rows from 2 on.

    Of few rows drawn means vary less than true ones. The levels are those at which a normal interval of
    the drawn means would be Student's of the rows: the expanded percentile interval (Hesterberg, "What
    Teachers Should Know About the Bootstrap", The American Statistician, 2015, section 4.3).
    """
    reach = math.sqrt(rows / (rows - 1)) * t_quantile(rows - 1)
    below = 50 * math.erfc(reach / math.sqrt(2))
    return below, 100 - below


def resample(totals: Totals, tokens: NDArray[np.int64]) -> Resampled:
    """Draw as many rows as there are, with replacement, many times; each model is given the same draws.

    A mean is a ratio of sums, as the validation loss is: the nats of the drawn rows by their tokens.

    Args:
        totals: summed loss of each row in nats, shape (models, rows).
        tokens: trained tokens of each row, shape (rows,), each at least 1.
    """
    rows = len(tokens)
    draw = np.random.default_rng(SEED)
    drawn = np.empty((len(totals), RESAMPLINGS))
    at_once = max(1, _AT_ONCE // rows)
    for begin in range(0, RESAMPLINGS, at_once):
        count = min(at_once, RESAMPLINGS - begin)
        chosen = draw.integers(0, rows, (count, rows))
        drawn[:, begin : begin + count] = totals[:, chosen].sum(-1) / tokens[chosen].sum(-1)
    return Resampled(totals.sum(-1) / tokens.sum(), drawn, totals / tokens)
