"""The live plot of a run: its loss, or another quantity of its steps."""

import asyncio
import math
import time
from dataclasses import dataclass, replace
from typing import ClassVar

from engine.analysis.chart_series import ChartData, Reading, Series, series_of
from tui.app.screens.shared.axes import Colour
from tui.app.screens.shared.lines import Lines
from tui.app.screens.train.loss_chart import Colours, Drawing, draw
from tui.app.screens.train.loss_legend import CHECKPOINT, CURSOR
from tui.run.chart_view import ChartView
from tui.run.curves import curves_of

import numpy as np
from rich.text import Text
from textual import work
from textual.events import Click
from textual.message import Message

REDRAW_SECONDS = 4.0
"""Shortest time between two drawings of growing curves."""
_UNMOVED_SECONDS = 30.0
"""The same while they have not grown by a dot of the plot: hardly anything would be seen of it."""
_CELLS_PER_SECOND = 130
"""Cells that growing curves may change on average; one costs 5 to 7 bytes, and all else up to 1 KiB/s."""
_DOTS = 2
"""Dots of a cell, side by side."""
_SMALLEST = (20, 4)


@dataclass(frozen=True, eq=False)
class Picture:
    """What is drawn, and of what."""

    series: Series
    view: ChartView
    drawing: Drawing | None
    """None where there is no room, or nothing to draw."""

    def with_cursor(self, cursor: int | None, colour: Colour) -> list[Text]:
        """Return the lines, with the cursor on the axis and on the step."""
        if self.drawing is None:
            return []
        if cursor is None or cursor >= len(self.series):
            return self.drawing.lines
        column, y = self.drawing.column(float(self.series.x[cursor])), float(self.series.y[cursor])
        if column is None:
            return self.drawing.lines
        marks = [(self.drawing.rows, column, CURSOR, colour)]
        if math.isfinite(y):
            marks.append((self.drawing.line(y), column, "●", colour))
        return self.drawing.with_marks(marks)


class LossPlot(Lines):
    """Draws a view of a run, every few seconds while it grows and at once for a key."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "loss-plot--train",
        "loss-plot--smoothed",
        "loss-plot--validation",
        "loss-plot--best",
        "loss-plot--axis",
        "loss-plot--cursor",
    }
    DEFAULT_CSS = """
    LossPlot {
        height: 1fr;
        min-height: 5;
        .loss-plot--train { color: $muted; }
        .loss-plot--smoothed { color: $accent; }
        .loss-plot--validation { color: $foreground; }
        .loss-plot--best { color: $success; }
        .loss-plot--axis { color: $muted; }
        .loss-plot--cursor { color: $warning; }
    }
    """

    class Drawn(Message):
        """Another picture is to be seen."""

    class Pointed(Message):
        """A step was clicked."""

        def __init__(self, row: int) -> None:
            super().__init__()
            self.row = row

    def __init__(self, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.view = ChartView()
        """Which part of the run is drawn, and how."""
        self._data = ChartData()
        self._picture = Picture(series_of(self._data), self.view, None)
        self._drawn = ChartData()
        """What the last drawing was begun with."""
        self._dirty = False
        self._drawn_at = -math.inf
        self._cost = 0.0
        """Seconds that the cells are worth which the last drawing changed, if the run had grown."""
        self._newest = object()
        """The newest request; a drawing that was overtaken is dropped."""

    @property
    def columns(self) -> int:
        """Cells side by side in which steps are drawn."""
        return self._picture.drawing.columns if self._picture.drawing else max(1, self.size.width)

    @property
    def series(self) -> Series:
        """What is drawn."""
        return self._picture.series

    @property
    def reading(self) -> Reading | None:
        """What was measured at the cursor."""
        cursor = self.view.cursor
        if cursor is None or cursor >= len(self.series) or self.series.measure != self.view.measure:
            return None
        return self.series.reading(cursor)

    def on_resize(self) -> None:
        """Draw to the new size."""
        self._redraw()

    def on_click(self, event: Click) -> None:
        """Tell which step was clicked."""
        drawing, x = self._picture.drawing, self.series.x
        if drawing and len(x) and event.x >= drawing.left:
            at = drawing.value(event.x)
            first, past = self.view.rows(len(x))
            after = min(max(int(np.searchsorted(x, at)), first), past - 1)
            before = max(after - 1, first)
            self.post_message(self.Pointed(before if at - x[before] < x[after] - at else after))

    def show(self, data: ChartData) -> None:
        """Take a run and draw it if it is time; at once if there was nothing before."""
        if data is not self._data:
            if self._data.is_empty:
                self._drawn_at = -math.inf
            self._data = data
            self._dirty = True
        if self._dirty and time.monotonic() - self._drawn_at >= self._pause():
            self._redraw()

    def look(self, view: ChartView) -> None:
        """Change the view; a cursor that moves in it changes only a few cells."""
        before, self.view = self.view, view
        if replace(before, cursor=view.cursor) != view:
            self._redraw()
        else:
            self._show_picture()

    def _pause(self) -> float:
        """Return the seconds from the last drawing to the next; none for a validation, told beside it too."""
        now, before = self._data, self._drawn
        if self.view.frozen and len(now.history) >= len(before.history) > 0:
            return math.inf
        if len(now.checked.steps) != len(before.checked.steps):
            return self._cost
        first, past = self.view.rows(len(now.history))
        shown = now.total_steps if self.view.is_whole else past - first
        has_moved = abs(len(now.history) - len(before.history)) >= shown / (_DOTS * max(1, self.size.width))
        return max(REDRAW_SECONDS if has_moved else _UNMOVED_SECONDS, self._cost)

    @work(group="loss-plot", exit_on_error=False)
    async def _redraw(self) -> None:
        """Draw in a thread (tens of milliseconds on a large screen) and show what differs."""
        has_grown = self._dirty and not self._drawn.is_empty
        self._dirty = False
        self._drawn, self._drawn_at = self._data, time.monotonic()
        self._newest = request = object()
        picture = await asyncio.to_thread(self._draw, self._data, self.view, *self.size, self._colours())
        if request is self._newest:
            self._picture = picture
            changed = self._show_picture()
            self._cost = changed / _CELLS_PER_SECOND if has_grown else 0.0
            self.post_message(self.Drawn())

    def _show_picture(self) -> int:
        return self.show_lines(self._picture.with_cursor(self.view.cursor, self._colour("loss-plot--cursor")))

    def _draw(self, data: ChartData, view: ChartView, width: int, height: int, colours: Colours) -> Picture:
        series = self.series
        if (series.data, series.measure, series.axis, series.span) != (
            *(data, view.measure, view.axis),
            data.span(view.smoothing),
        ):
            series = series_of(data, view.measure, view.axis, view.smoothing)
        if data.is_empty or width < _SMALLEST[0] or height < _SMALLEST[1]:
            return Picture(series, view, None)
        drawing = draw(curves_of(series, view, width), view.is_log, width, height, colours)
        return Picture(series, view, _marked(drawing, data, series, colours))

    def _colours(self) -> Colours:
        names = ("train", "smoothed", "validation", "best", "axis", "cursor")
        return Colours(*(self._colour(f"loss-plot--{name}") for name in names))

    def _colour(self, component: str) -> Colour:
        colour = self.get_component_styles(component).color
        if colour.ansi is None:
            return colour.rgb
        return colour.ansi if colour.ansi >= 0 else "default"


def _marked(drawing: Drawing, data: ChartData, series: Series, colours: Colours) -> Drawing:
    """Mark the checkpoints and the best step on the axis."""
    best = () if data.best_step is None else (data.best_step,)
    marks = []
    for steps, sign, colour in (
        (data.checkpoints, CHECKPOINT, colours.validation),
        (best, "★", colours.best),
    ):
        columns = {drawing.column(x) for x in series.at_steps(steps).tolist()}
        marks += [(drawing.rows, column, sign, colour) for column in columns if column is not None]
    return replace(drawing, lines=drawing.with_marks(marks))
