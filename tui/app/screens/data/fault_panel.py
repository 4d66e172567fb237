"""The faults of the data: totals by kind, a filter, and the list of what it lets through."""

import asyncio
from typing import ClassVar

from engine.dataset.fault_kinds import kind_words
from engine.dataset.report import Fault, Severity
from engine.i18n import _, ngettext, number
from engine.sanitize import one_line
from engine.symbols import SYMBOLS
from tui.app.screens.data.fault_search import SEVERITIES, FaultFilter, Found, Overview, overview, search
from tui.app.screens.data.fault_table import MOST_ROWS, FaultTable
from tui.app.screens.shared.line_input import LineInput
from tui.app.screens.shared.verdict_line import STYLES

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import Resize
from textual.message import Message
from textual.widgets import Input, Static

_TYPING_S = 0.1
"""A pause in typing after which the faults are looked through."""
_GAP = "   "
_MOST_LINES = 2
"""Of totals by kind."""


class FaultPanel(Vertical):
    """Looks through all faults, however many, and lists the first of those wanted."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "slash",
            "filter",
            _("Filter"),
            key_display="/",
            show=False,
            tooltip=_("List only faults with these words in kind, message, file or line"),
            id="data.filter",
        ),
        Binding(
            "s",
            "severity",
            _("Severity"),
            show=False,
            tooltip=_("List all faults, only errors, only warnings, only notes"),
            id="data.severity",
        ),
        Binding("escape", "all", _("List all faults again"), show=False, id="data.all"),
        Binding("down", "list", show=False),
    ]

    class Counted(Message):
        """It is known what there is of faults."""

        def __init__(self, counts: Overview) -> None:
            super().__init__()
            self.counts = counts

    def __init__(self) -> None:
        super().__init__()
        self._faults: tuple[Fault, ...] = ()
        self._wanted = FaultFilter()
        self._counts: Overview | None = None
        self._is_part = False
        """Whether the rows are not checked to the end."""

    def compose(self) -> ComposeResult:
        """Yield totals, table, and below it the filter and what it found."""
        yield Static(id="fault-kinds")
        yield FaultTable()
        with Horizontal(id="fault-found"):
            yield LineInput(id="fault-filter", compact=True, placeholder=_("kind, words, file or line"))
            yield Static(id="fault-total", classes="muted")

    def on_mount(self) -> None:
        """Hide the filter until it is asked for."""
        self.query_one("#fault-filter").display = False
        self.query_one("#fault-found").display = False

    def show(self, faults: tuple[Fault, ...], is_part: bool = False) -> None:
        """Count and list other faults, perhaps with more to come; ends with a `Counted`."""
        self._faults, self._is_part = faults, is_part
        self._count()

    def clear(self) -> None:
        """List nothing while nothing is known."""
        self.workers.cancel_node(self)
        self._faults, self._counts = (), None
        self._show_kinds()
        self.query_one(FaultTable).leave()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Without faults there is nothing to filter."""
        if action == "all":
            return self._wanted != FaultFilter() or self.query_one("#fault-filter").display
        if action == "list":
            return self.query_one("#fault-filter").has_focus
        return bool(self._faults) if action in ("filter", "severity") else True

    def action_filter(self) -> None:
        """Ask for words."""
        self.query_one("#fault-found").display = True
        self.query_one("#fault-filter").display = True
        self.query_one("#fault-filter").focus()

    def action_severity(self) -> None:
        """List the next severity."""
        order: tuple[Severity | None, ...] = (None, *SEVERITIES)
        after = order[(order.index(self._wanted.severity) + 1) % len(order)]
        self._want(FaultFilter(self._wanted.text, after))

    def action_all(self) -> None:
        """List everything again, and put the filter away."""
        asked = self.query_one("#fault-filter", LineInput)
        asked.value, asked.display = "", False
        self.query_one(FaultTable).focus()
        self._want(FaultFilter())

    def action_list(self) -> None:
        """Go from the filter to the list."""
        self.query_one(FaultTable).focus()

    @on(Input.Changed, "#fault-filter")
    def _words_changed(self, event: Input.Changed) -> None:
        if event.value != self._wanted.text:
            self._want(FaultFilter(event.value, self._wanted.severity))

    @on(Input.Submitted, "#fault-filter")
    def _words_given(self) -> None:
        """Go on to the list; an empty filter is put away."""
        if self._wanted.text:
            self.query_one(FaultTable).focus()
        else:
            self.action_all()

    def _want(self, wanted: FaultFilter) -> None:
        self._wanted = wanted
        self._list(_TYPING_S)
        self.refresh_bindings()

    @work(exclusive=True, group="count", exit_on_error=False)
    async def _count(self) -> None:
        self._counts = await overview(self._faults)
        self._show_kinds()
        self.refresh_bindings()
        self.post_message(self.Counted(self._counts))
        self._list(0)

    def on_resize(self, event: Resize) -> None:
        """Put as many totals on a line as fit."""
        self._show_kinds()

    def _show_kinds(self) -> None:
        text = _kinds(self._counts, self.size.width, self._is_part) if self._counts else ""
        self.query_one("#fault-kinds", Static).update(text)

    @work(exclusive=True, group="list", exit_on_error=False)
    async def _list(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        found = await search(self._faults, self._wanted, MOST_ROWS)
        self.query_one(FaultTable).show(found.first)
        self.query_one("#fault-total", Static).update(_shown(found, self._wanted, len(self._faults)))
        is_asked = self.query_one("#fault-filter").display
        is_part = found.total > MOST_ROWS or self._wanted != FaultFilter()
        self.query_one("#fault-found").display = is_asked or is_part


def _kinds(counts: Overview, width: int, is_part: bool) -> Content:
    """Name every kind with its number, on lines of `width` cells; the last says how many found no room."""
    if not counts.total:
        text = _("Nothing is wrong so far.") if is_part else _("✓ Nothing is wrong with the rows.")
        return Content.styled(text, "$muted")
    lines = [Content("")]
    for index, (severity, kind, count) in enumerate(counts.kinds):
        name = one_line(kind_words(kind), 30)
        text = _("{count} {kind}").format(count=number(count), kind=name)
        part = Content.assemble((f"{SYMBOLS[severity]} ", STYLES[severity]), (text, "$muted"))
        left = len(counts.kinds) - index
        text = ngettext("and {n} more kind", "and {n} more kinds", left).format(n=left)
        more = Content.styled(text, "$muted")
        room = width - lines[-1].cell_length - len(_GAP)
        if len(lines) == _MOST_LINES and part.cell_length + len(_GAP) + more.cell_length > room:
            lines[-1] += _GAP + more
            break
        if part.cell_length > room:
            lines.append(Content(""))
        lines[-1] += _GAP + part if lines[-1] else part
    return Content("\n").join(lines)


def _shown(found: Found, wanted: FaultFilter, total: int) -> Content:
    """Say how many faults are listed, of how many, and by which filter."""
    names = {"error": _("errors"), "warning": _("warnings"), "note": _("notes")}
    if found.total > MOST_ROWS:
        parts = [_("first {shown} of {found}").format(shown=number(MOST_ROWS), found=number(found.total))]
    else:
        parts = [_("{found} of {total}").format(found=number(found.total), total=number(total))]
    if wanted.severity:
        parts.append(_("only {severity}").format(severity=names[wanted.severity]))
    if wanted.text:
        parts.append(_("with {text}").format(text=one_line(wanted.text, 20)))
    if wanted != FaultFilter():
        parts.append(_("Esc lists all"))
    return Content(" · ".join(parts))
