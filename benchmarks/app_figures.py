"""What is measured of the app, against what it shall be; as lines and as JSON."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from math import nan, sqrt
from statistics import fmean, median
from typing import Any

from benchmarks.watched_app import Moment


@dataclass(frozen=True)
class Figure:
    """One thing measured, once or several times."""

    name: str
    unit: str
    target: float
    """What it shall be at most."""
    values: tuple[float, ...]
    cpu_seconds: tuple[float, ...] = ()
    """Processor time that each took, of all processes."""
    wall_seconds: tuple[float, ...] = ()
    note: str = ""

    @property
    def value(self) -> float:
        """The median of what was measured."""
        return median(self.values)

    def as_json(self) -> dict[str, Any]:
        """Return all fields, and the median."""
        return {**asdict(self), "median": self.value, "is_met": self.value <= self.target}


HEADER = f"{'figure':<34} {'target':>9} {'median':>9} {'unit':<8} {'CPU s':>7} {'wall s':>7}"
"""Above the lines of `describe`."""


def describe(figure: Figure) -> str:
    """Return a figure's line; a target that is missed has a `!`."""
    times = [
        f"{median(each):>7.2f}" if each else f"{'':>7}" for each in (figure.cpu_seconds, figure.wall_seconds)
    ]
    mark = " " if figure.value <= figure.target else "!"
    line = (
        f"{figure.name:<34} {_brief(figure.target):>9} {_brief(figure.value):>9}{mark}{figure.unit:<8} "
        f"{' '.join(times)}  {figure.note}"
    )
    return line.rstrip()


def between(
    name: str,
    unit: str,
    target: float,
    spans: Sequence[tuple[Moment, Moment]],
    value: Callable[[Moment, Moment], float],
    note: str = "",
) -> Figure:
    """Return the figure of what lies between pairs of moments."""
    return Figure(
        name,
        unit,
        target,
        tuple(value(*span) for span in spans),
        tuple(end.cpu_seconds - begin.cpu_seconds for begin, end in spans),
        tuple(end.seconds - begin.seconds for begin, end in spans),
        note,
    )


def seconds(begin: Moment, end: Moment) -> float:
    """Return the wall-clock time between two moments."""
    return end.seconds - begin.seconds


def milliseconds(begin: Moment, end: Moment) -> float:
    """Return the same in milliseconds."""
    return 1000 * seconds(begin, end)


def sent(begin: Moment, end: Moment) -> float:
    """Return the bytes between two moments."""
    return end.sent - begin.sent


def percentile(values: Iterable[float], share: float) -> float:
    """Return the value below which `share` of all values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def slope(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return the slope of the least-squares line and its standard error; NaN for what points cannot tell."""
    count = len(points)
    x_mean, y_mean = fmean(x for x, _y in points), fmean(y for _x, y in points)
    spread = sum((x - x_mean) ** 2 for x, _y in points)
    if count < 3 or not spread:
        return nan, nan
    found = sum((x - x_mean) * (y - y_mean) for x, y in points) / spread
    left = sum((y - y_mean - found * (x - x_mean)) ** 2 for x, y in points)
    return found, sqrt(left / (count - 2) / spread)


def _brief(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 100 else f"{value:.2f}"
