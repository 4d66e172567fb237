"""The live plot of training and validation loss."""

import asyncio
import math
import time
from typing import ClassVar

from tui.app.screens.shared.lines import Lines
from tui.app.screens.train.loss_chart import Colour, Colours, View, draw
from tui.run.curves import LossCurves

from rich.text import Text
from textual import work

REDRAW_SECONDS = 4.0
"""Shortest time between two drawings of growing curves."""
_UNMOVED_SECONDS = 30.0
"""The same while they have not grown by a dot of the plot: hardly anything would be seen of it."""
_DOTS = 2
"""Dots of a cell, side by side."""
_SMALLEST = (20, 4)


class LossPlot(Lines):
    """Draws `LossCurves`, every few seconds while they grow and at once for a key."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "loss-plot--train",
        "loss-plot--smoothed",
        "loss-plot--validation",
        "loss-plot--best",
        "loss-plot--axis",
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
    }
    """

    def __init__(self, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.view: View = "all"
        """Which part of the run is drawn, and how."""
        self._curves = LossCurves()
        self._drawn = LossCurves()
        self._dirty = False
        self._drawn_at = -math.inf
        self._newest = object()
        """The newest request; a drawing that was overtaken is dropped."""

    def on_resize(self) -> None:
        """Draw to the new size."""
        self._redraw()

    def show(self, curves: LossCurves) -> None:
        """Take `curves` and draw them if it is time; at once if there was nothing before."""
        if curves is not self._curves:
            if self._curves.is_empty:
                self._drawn_at = -math.inf
            self._curves = curves
            self._dirty = True
        if self._dirty and time.monotonic() - self._drawn_at >= self._pause():
            self._redraw()

    def look(self, view: View) -> None:
        """Change the view."""
        self.view = view
        self._redraw()

    def _pause(self) -> float:
        """Return the seconds from the last drawing to the next; none for a validation, told beside it too."""
        now, before = self._curves, self._drawn
        if len(now.validation.x) != len(before.validation.x):
            return 0.0
        dot = now.total_steps / (_DOTS * max(1, self.size.width))
        has_moved = self.view == "recent" or abs(now.last_step - before.last_step) >= dot
        return REDRAW_SECONDS if has_moved else _UNMOVED_SECONDS

    @work(group="loss-plot", exit_on_error=False)
    async def _redraw(self) -> None:
        """Draw in a thread (tens of milliseconds on a large screen) and show what differs."""
        self._dirty = False
        self._drawn, self._drawn_at = self._curves, time.monotonic()
        self._newest = request = object()
        lines = await asyncio.to_thread(self._draw, *self.size, self._colours())
        if request is self._newest:
            self.show_lines(lines)

    def _draw(self, width: int, height: int, colours: Colours) -> list[Text]:
        if self._curves.is_empty or width < _SMALLEST[0] or height < _SMALLEST[1]:
            return []
        return draw(self._curves, self.view, width, height, colours)

    def _colours(self) -> Colours:
        names = ("train", "smoothed", "validation", "best", "axis")
        return Colours(*(self._colour(f"loss-plot--{name}") for name in names))

    def _colour(self, component: str) -> Colour:
        colour = self.get_component_styles(component).color
        if colour.ansi is None:
            return colour.rgb
        return colour.ansi if colour.ansi >= 0 else "default"
