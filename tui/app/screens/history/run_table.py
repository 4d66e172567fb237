"""The runs, one line each; only the lines on the screen are drawn."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from engine.i18n import _
from engine.runs.differences import differing_settings, setting_text, widths_that_fit
from engine.runs.places import RunPlace
from engine.runs.record import CURVE_POINTS, RunRecord
from engine.symbols import SYMBOLS, spark
from engine.units import duration, nats
from tui.app.theme import COLOURS, MUTED
from tui.run.headline import run_sign

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

_WIDTHS = (3, 17, CURVE_POINTS, 6, 11)
"""Of signs, name, loss, best validation and time."""
_GAP = "  "


class RunTable(ScrollView, can_focus=True):
    """Signs, name, course of the loss, best validation, time, and the settings that differ."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"run-table--cursor"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "end(0)", show=False),
        Binding("end", "end(-1)", show=False),
    ]

    cursor: reactive[int] = reactive(0, init=False)
    """Line of the run that keys act on."""

    class Highlighted(Message):
        """Another run is under the cursor."""

    def __init__(self) -> None:
        super().__init__()
        self.places: list[RunPlace] = []
        """What is listed."""
        self._records: dict[Path, RunRecord] = {}
        self._signs: Mapping[Path, str] = {}
        self.settings: tuple[str, ...] = ()
        """Names of the settings that differ between the runs."""
        self._columns = list(_WIDTHS)
        """Widths of the columns that there is room for."""

    @property
    def place(self) -> RunPlace | None:
        """The run under the cursor."""
        return self.places[self.cursor] if self.places else None

    def record_of(self, place: RunPlace | None) -> RunRecord | None:
        """Return what is known of a run; None while it is not read."""
        return self._records.get(place.folder) if place else None

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Take as many lines as there are runs, and about a third of the terminal at most."""
        return min(self.virtual_size.height, viewport.height // 3)

    def list_places(self, places: Sequence[RunPlace]) -> None:
        """List runs; the cursor stays on its own, or else on its line."""
        before, line = self.place, self.cursor
        self.places = list(places)
        folders = [place.folder for place in places]
        self._records = {folder: record for folder, record in self._records.items() if folder in folders}
        self.virtual_size = Size(self.size.width, len(places) + 1 if places else 0)
        found = folders.index(before.folder) if before and before.folder in folders else line
        self.set_reactive(RunTable.cursor, max(0, min(found, len(places) - 1)))
        self.refresh(layout=True)
        self._select()

    def add(self, records: Sequence[RunRecord]) -> None:
        """Show what is known of some of the runs."""
        self._records |= {record.place.folder: record for record in records}
        self.settings = differing_settings(list(self._records.values()))
        self._measure()
        self.refresh()

    def on_resize(self) -> None:
        """Fit the columns to the new width."""
        self._measure()

    def sign(self, signs: Mapping[Path, str]) -> None:
        """Put a sign before each of some runs, by their folders."""
        self._signs = signs
        self.refresh()

    def watch_cursor(self) -> None:
        """Show the run under the cursor."""
        self._select()
        self.refresh()

    def _select(self) -> None:
        row, room = self.cursor, max(1, self.size.height - 1)  # less the head
        self.scroll_to(y=min(max(self.scroll_offset.y, row - room + 1), row), animate=False)
        self.post_message(self.Highlighted())

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """With less than two runs there is nowhere to go."""
        if action in ("move", "page", "end"):
            return len(self.places) > 1
        return super().check_action(action, parameters)

    def action_move(self, by: int) -> None:
        """Go to a run further on; stops at the ends."""
        self.cursor = max(0, min(len(self.places) - 1, self.cursor + by))

    def action_page(self, by: int) -> None:
        """Go to a run a page further on."""
        self.action_move(by * max(1, self.size.height - 2))

    def action_end(self, line: int) -> None:
        """Go to the first run or the last."""
        self.cursor = line % len(self.places)

    def on_click(self, event: events.Click) -> None:
        """Go to the run under the pointer."""
        row = event.y - 1 + self.scroll_offset.y
        if event.y and row < len(self.places):
            self.cursor = row

    def render_line(self, y: int) -> Strip:
        """Draw the head, or the run on a line."""
        if y == 0 and self.places:
            return self._strip(_head(), self.settings, self.app.console.get_style(MUTED))
        row = y - 1 + self.scroll_offset.y
        if not 0 <= row < len(self.places):
            return Strip.blank(self.size.width, self.rich_style)
        look = self.get_component_rich_style("run-table--cursor") if row == self.cursor else Style.null()
        place = self.places[row]
        record = self.record_of(place)
        values = [setting_text(record, name) if record else "" for name in self.settings]
        return self._strip(_cells(place, record, self._signs.get(place.folder, "")), values, look)

    def _strip(self, cells: Sequence[Text], values: Sequence[str], look: Style) -> Strip:
        line = [*cells, *map(Text, values)][: len(self._columns)]
        for cell, room in zip(line, self._columns, strict=False):
            _fit(cell, room)
        strip = Strip(Text(_GAP).join(line).render(self.app.console)).adjust_cell_length(self.size.width)
        return strip.apply_style(self.rich_style + look)

    def _measure(self) -> None:
        """Find the widths of the columns; settings for which there is no room have none."""
        room = self.scrollable_content_region.width - sum(_WIDTHS) - len(_GAP) * (len(_WIDTHS) - 1)
        settings = widths_that_fit(list(self._records.values()), self.settings, room, len(_GAP))
        room -= sum(settings) + len(_GAP) * len(settings)
        longest = max((cell_len(place.short_label) for place in self.places), default=0)
        signs, name, *figures = _WIDTHS
        self._columns = [signs, max(name, min(longest, name + room)), *figures, *settings]


def _fit(cell: Text, room: int) -> None:
    """Cut or pad a text to its column; a long one keeps its end, where names of one kind differ."""
    text = cell.plain
    if len(text) > room > 2 and text.isascii():
        tail = 2 * room // 3
        cell.plain = f"{text[: room - tail - 1]}…{text[-tail:]}"
    cell.truncate(room, overflow="ellipsis", pad=True)


def _head() -> tuple[Text, ...]:
    best = _("best").rjust(_WIDTHS[3])
    return tuple(map(Text, ("", _("run"), _("training loss"), best, _("time").rjust(_WIDTHS[4]))))


def _cells(place: RunPlace, record: RunRecord | None, sign: str) -> tuple[Text, ...]:
    name = Text(place.short_label)
    if record is None:
        return (Text(f"{sign:<1} ·"), name, Text(""), Text(""), Text(""))
    run = record.summary
    status = run_sign(run, record.verdict) if run and record.verdict else "error"
    signs = Text.assemble((sign or " ", "bold"), " ", (SYMBOLS[status], COLOURS[status]))
    if run is None:
        return (signs, name, Text("-", MUTED), Text("-".rjust(6), MUTED), Text("-".rjust(11), MUTED))
    best = "-" if run.best_val_loss is None else nats(run.best_val_loss)
    curve = spark(record.curve, min(record.curve, default=0.0))
    time = duration(run.duration_s) if run.steps else "-"
    return signs, name, Text(curve), Text(best.rjust(_WIDTHS[3])), Text(time.rjust(_WIDTHS[4]))
