"""Rows that are there twice, nearly twice or with two answers: each pair side by side."""

import asyncio
from typing import TYPE_CHECKING, ClassVar

from engine.dataset.report import Fault, Place
from engine.errors import UserError
from engine.i18n import _, number
from engine.project import Project
from tui.app.screens.data.pair_row import CLOSE, OPEN, PairRow
from tui.app.screens.shared.base import PlaceScreen
from tui.app.screens.shared.verdict_line import VerdictLine

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.content import Content
from textual.widgets import Static

if TYPE_CHECKING:
    from engine.dataset.inspect.word_diff import Pair  # imports numpy, so not at start-up

_KINDS = {
    "duplicate": _("The same row twice"),
    "near_duplicate": _("Nearly the same row twice"),
    "other_answer": _("One prompt, two answers"),
    "leak": _("A prompt in both sets"),
    "near_leak": _("Nearly the same row in both sets"),
}
"""What each kind of pair is."""


class PairsScreen(PlaceScreen):
    """The two rows of a pair beside each other, or above each other where there is no room."""

    PLACE: ClassVar[str] = _("3 Data: duplicates")
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "n",
            "walk(1)",
            _("Next pair"),
            key_display="n/b",
            tooltip=_("Show the next pair"),
            id="pairs.next",
        ),
        Binding(
            "b",
            "walk(-1)",
            _("Pair before"),
            show=False,
            tooltip=_("Show the pair before"),
            id="pairs.before",
        ),
        Binding(
            "escape,p", "close", _("Back"), key_display="Esc", tooltip=_("Back to the data"), id="pairs.close"
        ),
    ]

    def __init__(self, pairs: tuple[Fault, ...], index: int) -> None:
        """Prepare the screen.

        Args:
            pairs: faults that name another row.
            index: of the pair to begin with.
        """
        super().__init__()
        self._pairs = pairs
        self._index = index

    def compose_body(self) -> ComposeResult:
        """Yield what the pair is, and its rows."""
        yield VerdictLine(id="pair-verdict")
        with Container(id="pair-rows"):
            yield PairRow()
            yield PairRow()
        yield Static(id="pair-legend")

    def on_mount(self) -> None:
        """Show the first pair."""
        self.query(PairRow).first().focus()
        self._show()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer to go on only where there is another pair."""
        if action == "walk":
            return len(self._pairs) > 1
        return super().check_action(action, parameters)

    def action_walk(self, by: int) -> None:
        """Show the pair beside; stops at the ends."""
        index = min(len(self._pairs) - 1, max(0, self._index + by))
        if index != self._index:
            self._index = index
            self._show()

    def action_close(self) -> None:
        """Go back to the data."""
        self.dismiss(None)

    @work(exclusive=True, exit_on_error=False)
    async def _show(self) -> None:
        """Read both rows and compare them in a thread."""
        fault = self._pairs[self._index]
        assert fault.other is not None
        places = fault.other, Place(fault.file, fault.line)
        which = _("{kind}, {index} of {total}:").format(
            kind=_KINDS[fault.kind], index=number(self._index + 1), total=number(len(self._pairs))
        )
        self.query_one(VerdictLine).show(fault.severity, which, fault.message)
        boxes = list(self.query(PairRow))
        for box, place in zip(boxes, places, strict=True):
            box.show_place(place)
        rows = await asyncio.to_thread(_read, self.mqlora.project, places)
        for box, row in zip(boxes, rows, strict=True):
            box.show_row(row)
        self.query_one("#pair-legend", Static).update(_legend(rows))


def _read(project: Project, places: tuple[Place, Place]) -> "Pair":
    """Read and compare two rows, on another thread."""
    from engine.dataset.inspect.word_diff import read_pair

    return read_pair(project.data_dir, places)


def _legend(rows: "Pair") -> Content:
    """Explain the marks, or say that there are none."""
    turns = [turn for row in rows if not isinstance(row, UserError) for turn in row]
    if any(part.differs for turn in turns for part in turn.parts):
        return Content.styled(f"{OPEN}{_('differs')}{CLOSE}", "bold underline $warning")
    is_whole = len(rows) == sum(not isinstance(row, UserError) for row in rows)
    return Content.styled(_("Both say the same, word for word.") if is_whole else "", "$muted")
