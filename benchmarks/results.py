"""From what runs measured to lines: medians over steps and repetitions, and ratios."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.job import Record

# A setting of mlx-lm counts as comparable in speed from this share of its best.
_COMPARABLE = 0.9
# Both sides draw their steps from the same rows, each in its own order.
_DRAWN = 1.25


@dataclass(frozen=True)
class Run:
    """One variant, once."""

    side: str
    """"ours", or which of the others."""
    variant: str
    repetition: int
    record: Record
    skip: int
    """First steps that do not count: shapes are compiled in them."""

    @property
    def rate(self) -> float:
        """Real tokens a second: the median over the steps that count."""
        return median(tokens / seconds for tokens, seconds in self._counted())

    @property
    def step_seconds(self) -> float:
        """Wall-clock time of a step, median."""
        return median(seconds for _tokens, seconds in self._counted())

    def _counted(self) -> list[tuple[int, float]]:
        steps = list(zip(self.record.tokens, self.record.seconds, strict=False))
        return steps[self.skip :]


HEADER = (
    f"{'run':>3} {'side':<18} {'variant':<26} {'tok/s':>9} {'s/step':>8} {'peak GB':>8} {'held GB':>8} "
    f"{'first loss':>10} {'last loss':>10}"
)
"""Above the lines of `describe` and `summarize`."""


def describe(run: Run, flops: float, peak_tflops: float | None) -> str:
    """Return one run's line: `flops` are those of a token, `peak_tflops` what the chip can do."""
    losses = f"{run.record.losses[0]:>10.4f} {run.record.losses[-1]:>10.4f}"
    return _line(str(run.repetition), [run], flops, peak_tflops, losses)


def summarize(runs: Sequence[Run], flops: float, peak_tflops: float | None) -> str:
    """Return the line of one variant's medians over its repetitions."""
    first = median(run.record.losses[0] for run in runs)
    last = median(run.record.losses[-1] for run in runs)
    return _line("med", runs, flops, peak_tflops, f"{first:>10.4f} {last:>10.4f}")


def _line(number: str, runs: Sequence[Run], flops: float, peak_tflops: float | None, losses: str) -> str:
    rate = _over(runs, lambda run: run.rate)
    work = rate * flops / 1e12
    share = f" {100 * work / peak_tflops:5.1f} % of peak" if peak_tflops else ""
    return (
        f"{number:>3} {runs[0].side:<18} {runs[0].variant:<26} {rate:>9,.1f} "
        f"{_over(runs, lambda run: run.step_seconds):>8.3f} {_over(runs, _peak):>8.3f} "
        f"{_over(runs, lambda run: run.record.held_gb):>8.3f} {losses} {work:>8.3f} TFLOP/s{share}"
    )


def ratios(ours: Sequence[Run], others: Sequence[Sequence[Run]]) -> list[str]:
    """Compare one of our variants with the settings of another side.

    Args:
        ours: the runs of the variant.
        others: the runs of each setting of the other side.

    Returns:
        Lines: speed and memory against its fastest setting, and memory against the
        leanest of those that are about as fast.
    """
    best = max(others, key=_rate)
    comparable = [runs for runs in others if _rate(runs) >= _COMPARABLE * _rate(best)]
    leanest = min(comparable, key=lambda runs: _over(runs, _peak))
    speed, memory = _ratio(ours, best, lambda run: run.rate), _ratio(ours, best, _peak)
    title = f"{ours[0].variant} / {best[0].side}"
    lines = [f"{title}: {speed:.2f}x tok/s, {memory:.2f}x peak (its fastest: {best[0].variant})"]
    if leanest is not best:
        lines.append(
            f"{title}: {_ratio(ours, leanest, _peak):.2f}x peak of {leanest[0].variant}, "
            f"its leanest within {1 - _COMPARABLE:.0%} of the fastest"
        )
    return lines


def disagreement(runs: Sequence[Run]) -> str:
    """Return a warning where runs of the same number of steps had other tokens than drawing explains."""
    totals: dict[int, set[int]] = {}
    for run in runs:
        totals.setdefault(len(run.record.tokens), set()).add(sum(run.record.tokens))
    odd = {steps: sorted(found) for steps, found in totals.items() if max(found) > _DRAWN * min(found)}
    return f"WARNING: not the same work: real tokens by number of steps {odd}" if odd else ""


def _ratio(ours: Sequence[Run], theirs: Sequence[Run], figure: Callable[[Run], float]) -> float:
    """Return the median ratio of runs of the same repetition; of the medians where none was whole."""
    pairs = [(a, b) for a in ours for b in theirs if a.repetition == b.repetition]
    if not pairs:
        return _over(ours, figure) / _over(theirs, figure)
    return median(figure(a) / figure(b) for a, b in pairs)


def _over(runs: Sequence[Run], figure: Callable[[Run], float]) -> float:
    return median(figure(run) for run in runs)


def _peak(run: Run) -> float:
    return run.record.peak_gb


def _rate(runs: Sequence[Run]) -> float:
    return _over(runs, lambda run: run.rate)
