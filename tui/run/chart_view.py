"""Which part of a run a chart shows, and how: changed by keys, without widgets."""

from dataclasses import dataclass, replace
from typing import TypeVar, get_args

from engine.analysis.chart_series import Axis, ChartData, Measure

Choice = TypeVar("Choice")

MEASURES: tuple[Measure, ...] = get_args(Measure)
AXES: tuple[Axis, ...] = get_args(Axis)
LEAST_STEPS = 4
"""Nothing is enlarged beyond so many."""


@dataclass(frozen=True)
class ChartView:
    """A way of looking at a run. Steps are counted from 0 here, in the order of the metrics."""

    measure: Measure = "loss"
    axis: Axis = "step"
    is_log: bool = False
    smoothing: int = 0
    """See `ChartData.span`."""
    newest: int | None = None
    """So many of the newest steps are shown, and those to come."""
    frozen: tuple[int, int] | None = None
    """The first step that is shown and the one after the last, whatever the run does."""
    cursor: int | None = None
    """Step that is read; without one the view has no cursor."""

    def rows(self, count: int) -> tuple[int, int]:
        """Return the first step shown, and the one after the last, of a run of `count` steps."""
        if self.frozen:
            first, past = self.frozen[0], min(self.frozen[1], count)
            return (first, past) if first < past else (0, count)  # the run began anew
        return (max(0, count - self.newest) if self.newest else 0), count

    @property
    def is_whole(self) -> bool:
        """Whether the whole run is shown, and the steps to come."""
        return self.newest is None and self.frozen is None

    def whole(self) -> "ChartView":
        """Show the whole run."""
        return replace(self, newest=None, frozen=None)

    def third(self, count: int) -> "ChartView":
        """Show the last third of the run, or all of it if a part is shown."""
        width = max(count // 3, LEAST_STEPS)
        return self._at(count - width, width, count) if self.is_whole and width < count else self.whole()

    def zoomed(self, is_closer: bool, count: int) -> "ChartView":
        """Show half or twice as many steps: around the cursor, else the newest or those in the middle."""
        first, past = self.rows(count)
        width = max((past - first) // 2, LEAST_STEPS) if is_closer else (past - first) * 2
        if width >= count:
            return self if is_closer else self.whole()
        if self.cursor is not None and first <= self.cursor < past:
            start = self.cursor - width // 2
        else:
            start = (first + past - width) // 2 if self.frozen else count - width
        return self._at(start, width, count)

    def panned(self, direction: int, count: int) -> "ChartView":
        """Show the steps half a width earlier (-1) or later (1)."""
        first, past = self.rows(count)
        return self._at(first + direction * max(1, (past - first) // 2), past - first, count)

    def held(self, count: int) -> "ChartView":
        """Freeze what is shown; what is frozen, let follow the run again."""
        if self.frozen is None:
            return replace(self, newest=None, frozen=self.rows(count)) if count else self
        first, past = self.rows(count)
        return replace(self.whole(), newest=past - first) if first else self.whole()

    def moved(self, by: int, count: int) -> "ChartView":
        """Move the cursor by so many steps, and what is shown with it; without one put it onto the newest."""
        if not count:
            return self
        cursor = self.rows(count)[1] - 1 if self.cursor is None else self.cursor + by
        return self.pointed(min(max(cursor, 0), count - 1), count)

    def pointed(self, cursor: int, count: int) -> "ChartView":
        """Put the cursor onto a step."""
        first, past = self.rows(count)
        view = replace(self, cursor=cursor)
        if first <= cursor < past:
            return view
        return view._at(cursor if cursor < first else cursor - (past - first) + 1, past - first, count)

    def smoothed(self, by: int, data: ChartData) -> "ChartView":
        """Smooth over twice (1) or half (-1) as many steps, as far as that changes something."""
        level = self.smoothing + by
        return replace(self, smoothing=level) if data.span(level) != data.span(self.smoothing) else self

    def with_next_measure(self) -> "ChartView":
        """Show the next quantity."""
        return replace(self, measure=_next(MEASURES, self.measure))

    def with_next_axis(self) -> "ChartView":
        """Lay the steps out along the next axis."""
        return replace(self, axis=_next(AXES, self.axis))

    def _at(self, start: int, width: int, count: int) -> "ChartView":
        """Show `width` steps from `start` on; at the end of the run, its newest."""
        start = max(0, min(start, count - width))
        if start + width >= count:
            return replace(self, frozen=None, newest=max(width, 1))
        return replace(self, newest=None, frozen=(start, start + width))


def _next(choices: tuple[Choice, ...], present: Choice) -> Choice:
    return choices[(choices.index(present) + 1) % len(choices)]
