"""What all seven places share: header, notes, footer, sizes and the state of the app."""

import asyncio
from collections.abc import Callable, Iterator
from typing import ClassVar, TypeVar, cast

from engine.errors import UserError
from engine.hardware.report import HardwareReport
from tui.app.keys import DISMISS_KEY
from tui.app.screens.shared.copying import Copied, ToCopy
from tui.app.screens.shared.dialog import Closing
from tui.app.screens.shared.footer import KeyFooter
from tui.app.screens.shared.header import PlaceHeader
from tui.app.screens.shared.note_line import Busy, Noted, NoteLine
from tui.app.screens.shared.opening import OpenedOnce
from tui.app.screens.shared.tabs import PlaceTabs
from tui.app.state import AppState

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.screen import Screen
from textual.widget import Widget

Answer = TypeVar("Answer")


class PlaceScreen(OpenedOnce, Closing[None], Noted):
    """One of the seven places; a subclass names itself and yields its body."""

    PLACE: ClassVar[str] = ""
    """Name and number in the header, such as "1 Hardware", translated."""
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-short"), (34, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [DISMISS_KEY]
    PARTS: ClassVar[tuple[type[Widget], ...]] = ()
    """Widgets of this place with keys of their own, for the list of all that can be done."""

    def __init__(self) -> None:
        super().__init__()
        self._notes = NoteLine()
        """Takes what is to be said before the place is drawn, such as of a damaged file at the start."""
        self._on_top = asyncio.Event()
        """Set as this place comes to lie on top."""
        self._is_asking = False

    @property
    def mqlora(self) -> AppState:
        """The app, with what all places know of it."""
        return cast(AppState, self.app)

    @property
    def place_name(self) -> str:
        """Number and name in the header, and what is open in that place."""
        return self.PLACE

    def compose(self) -> ComposeResult:
        """Lay header, body, notes and footer below each other."""
        yield PlaceHeader(self.mqlora.project, self.place_name)
        yield PlaceTabs(self.place_name)
        with Container(classes="body"):
            yield from self.compose_body()
        yield self._notes
        yield KeyFooter(classes="key-footer")

    def compose_body(self) -> ComposeResult:
        """Yield the widgets between header and footer."""
        yield from ()

    def on_mount(self) -> None:
        """Keep header and notice up to date."""
        self.follow("config", self._refresh_header)
        self.follow("run_state", self._refresh_header)
        self.follow("notice", self._show_notice)
        self.follow("data_progress", self._end_wait)
        self.watch(self.app, "hardware", self._drop_outdated, init=False)

    async def answer_to(self, dialog: Screen[Answer]) -> Answer | None:
        """Open a dialog for which something was read first, and return its answer; for workers.

        What the user has opened meanwhile stays on top: the dialog waits until this place is back. While one
        waits or is open others are not asked, as for a key that was pressed twice: None.
        """
        if self._is_asking:
            return None
        self._is_asking = True
        try:
            while not self.is_active:
                self._on_top.clear()
                await self._on_top.wait()
            return await self.app.push_screen_wait(dialog)
        finally:
            self._is_asking = False

    def on_screen_resume(self) -> None:
        """Let a dialog open that has waited for this place."""
        self._on_top.set()

    def follow(self, state: str, draw: Callable[[], None]) -> None:
        """Call `draw` now and whenever the app's reactive `state` changes.

        Not while the app is closing: then the screen's widgets may be gone.
        """

        def changed() -> None:
            if self.is_attached and self.app.is_running:
                draw()

        self.watch(self.app, state, changed)

    def _refresh_header(self) -> None:
        self.query_one(PlaceHeader).show(self.mqlora.config, self.mqlora.run_state)
        self._end_wait()
        self.refresh_bindings()

    def _show_notice(self) -> None:
        self._notes.show_notice(self.mqlora.notice)
        self.refresh_bindings()

    def to_copy(self) -> Iterator[ToCopy]:
        """Yield what may be wanted elsewhere: what the widgets say, then what a place adds."""
        for widget in self.query("*"):
            if isinstance(widget, Copied):
                yield from widget.to_copy()

    def stop_work(self) -> bool:
        """End what this place is doing, for Ctrl+C; False if there is nothing that ends so."""
        return False

    def show_error(self, error: UserError) -> None:
        """Show a refusal: what is wrong, and how to fix it."""
        self._notes.show(error)
        self.refresh_bindings()

    def clear_error(self) -> None:
        """Take the last refusal away, and the notice."""
        self._notes.clear()
        self.mqlora.notice = ""
        self.refresh_bindings()

    @property
    def is_waiting(self) -> bool:
        """Whether what is shown is a refusal because of what is under way."""
        return isinstance(self._notes.error, Busy)

    def _end_wait(self) -> None:
        """Take such a refusal away when that is over; any other one stays."""
        error = self._notes.error
        if isinstance(error, Busy) and not error.holds():
            self._notes.clear()
            self.refresh_bindings()

    def _drop_outdated(self, hardware: HardwareReport | None) -> None:
        """Take a refusal away once all is looked at again, as after a model came: it may hold no more."""
        if hardware is None and self._notes.error:
            self._notes.clear()
            self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Without a note there is nothing to dismiss."""
        if action == "clear_error":
            return self._notes.display
        return super().check_action(action, parameters)

    def action_clear_error(self) -> None:
        """Take them away at the user's wish."""
        self.clear_error()
