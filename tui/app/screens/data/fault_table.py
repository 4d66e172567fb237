"""What is wrong with the data, one line a fault; only the lines on the screen are drawn."""

from typing import ClassVar

from engine.dataset.report import Fault
from engine.i18n import _, number
from engine.sanitize import one_line
from engine.symbols import SYMBOLS
from tui.app.theme import COLOURS, MUTED
from tui.shell import fix_of

from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

MOST_ROWS = 500
"""More rows than this are not read; the total is said in words."""
_FIXED = (1, 9, 5)
"""Widths of symbol, line and set."""
_WIDE = 100
"""From this width on there is a column for the fix."""
_GAP = "  "


NEXT_KEY = Binding("enter", "screen.go_on", _("Go on"), tooltip=_("Go on to training"), id="data.next")
"""Of the table and of the whole place."""


class FaultTable(ScrollView, can_focus=True):
    """Symbol, line, set, what is wrong and, where there is room, how to fix it."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"fault-table--cursor"}
    BINDINGS: ClassVar[list[BindingType]] = [
        NEXT_KEY,
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", f"move(-{MOST_ROWS})", show=False),
        Binding("end", f"move({MOST_ROWS})", show=False),
    ]

    cursor: reactive[int] = reactive(0, init=False)
    """Row of the selected fault."""

    class Highlighted(Message):
        """Another fault is selected."""

        def __init__(self, fault: Fault) -> None:
            super().__init__()
            self.fault = fault

    def __init__(self) -> None:
        super().__init__()
        self.faults: tuple[Fault, ...] = ()
        """What is listed."""
        self._left_at = 0
        """Row to go back to once the faults are known again; 0 while they are."""

    @property
    def selected(self) -> Fault | None:
        """The fault under the cursor."""
        return self.faults[self.cursor] if self.faults else None

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Take as many lines as there are faults, and less than a third of the terminal."""
        return min(self.virtual_size.height, viewport.height // 3 - 1)

    def show(self, faults: tuple[Fault, ...]) -> None:
        """List faults, `MOST_ROWS` at most; the cursor stays at the top, or else on its fault."""
        before = self.selected if self.cursor else None
        self.faults = faults
        self.virtual_size = Size(self.size.width, len(faults) + 1 if faults else 0)
        cursor = min(self._left_at, max(0, len(faults) - 1))
        is_known = before in faults and not self._left_at
        self.set_reactive(FaultTable.cursor, faults.index(before) if before and is_known else cursor)
        if len(faults) > self._left_at:
            self._left_at = 0
        self._select()
        self.refresh(layout=True)

    def leave(self) -> None:
        """List nothing while the data is read again; then the cursor is where it was.

        That is the row after one that was taken out.
        """
        if self.selected:
            place = self.selected.file, self.selected.line
            self._left_at = next(
                i for i, fault in enumerate(self.faults) if (fault.file, fault.line) == place
            )
        self.show(())

    def watch_cursor(self) -> None:
        """Show the selected fault."""
        self._left_at = 0
        self._select()
        self.refresh()

    def _select(self) -> None:
        if self.selected:
            row = self.cursor
            room = max(1, self.size.height - 1)  # less the head
            top = min(max(self.scroll_offset.y, row - room + 1), row)
            self.scroll_to(y=top, animate=False)
            self.post_message(self.Highlighted(self.selected))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """With less than two faults there is nowhere to go."""
        return (
            len(self.faults) > 1 if action in ("move", "page") else super().check_action(action, parameters)
        )

    def action_move(self, by: int) -> None:
        """Select a fault further on; stops at the ends."""
        self.cursor = max(0, min(len(self.faults) - 1, self.cursor + by))

    def action_page(self, by: int) -> None:
        """Select a fault a page further on."""
        self.action_move(by * max(1, self.size.height - 2))

    def on_click(self, event: events.Click) -> None:
        """Select the fault under the pointer."""
        row = event.y - 1 + self.scroll_offset.y
        if event.y and row < len(self.faults):
            self.cursor = row

    def render_line(self, y: int) -> Strip:
        """Draw the head, or the fault on a line."""
        width = self.scrollable_content_region.width
        if y == 0 and self.faults:
            return self._strip(_head(), width, self.app.console.get_style(MUTED))
        row = y - 1 + self.scroll_offset.y
        if not 0 <= row < len(self.faults):
            return Strip.blank(self.size.width, self.rich_style)
        look = self.get_component_rich_style("fault-table--cursor") if row == self.cursor else Style.null()
        return self._strip(_cells(self.faults[row]), width, look)

    def _strip(self, cells: tuple[Text, ...], width: int, look: Style) -> Strip:
        for cell, room in zip(cells, _widths(width), strict=False):
            cell.truncate(room, overflow="ellipsis", pad=True)
        line = Text(_GAP).join(cells[: len(_widths(width))])
        strip = Strip(line.render(self.app.console)).adjust_cell_length(self.size.width)
        return strip.apply_style(self.rich_style + look)


def _widths(width: int) -> tuple[int, ...]:
    """Return the widths of the columns that there is room for."""
    room = max(10, width - sum(_FIXED) - len(_GAP) * len(_FIXED))
    if width < _WIDE:
        return (*_FIXED, room)
    first = (room - len(_GAP)) * 3 // 5
    return (*_FIXED, first, room - len(_GAP) - first)


def _head() -> tuple[Text, ...]:
    names = "", _("line").rjust(_FIXED[1]), _("set"), _("what is wrong"), _("fix")
    return tuple(Text(name) for name in names)


def _cells(fault: Fault) -> tuple[Text, ...]:
    line = number(fault.line) if fault.line else ""
    return (
        Text(SYMBOLS[fault.severity], COLOURS[fault.severity]),
        Text(line.rjust(_FIXED[1])),
        Text(one_line(fault.file.removesuffix(".jsonl").partition("/")[0], _FIXED[2])),
        Text(one_line(fault.message, 300)),
        Text(fix_of(fault, one_line(fault.fix, 300)), MUTED),
    )
