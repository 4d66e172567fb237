"""Refusals and notices: shown in place, where they cover nothing and stay until they are dismissed."""

from collections.abc import Callable
from functools import partial

from engine.errors import UserError
from tui.app.screens.shared.note_line import NoteAdded, Noted, NoteLine

from textual.app import App
from textual.reactive import reactive

MOMENT_S = 5.0
"""How long is told what a key did, from when it is drawn: on a busy machine that may be seconds later."""


class NotesApp(App[int]):
    """Shows notes on the present place, and below a dialog that covers it."""

    notice: reactive[str] = reactive("", init=False)
    """What came of the last job, for every place to show until it is dismissed."""

    def show_error(self, error: UserError) -> None:
        """Show a refusal until it is dismissed or the user tries again."""
        for screen in reversed(self.screen_stack):
            if isinstance(screen, Noted):
                screen.show_error(error)
                break
        if not isinstance(self.screen, Noted):
            self._note_line().show(error)

    def show_notice(self, notice: str) -> None:
        """Say for a moment what a key did."""
        if isinstance(self.screen, Noted):
            self.notice = notice
            self._after_a_moment(partial(self._forget, notice))
        else:
            line = self._note_line()
            line.show_notice(notice)
            self._after_a_moment(partial(line.show_notice, ""))

    def on_note_added(self, message: NoteAdded) -> None:
        """Say what a widget has to say."""
        self.show_notice(message.text)

    def _after_a_moment(self, forget: Callable[[], None]) -> None:
        self.call_after_refresh(self.set_timer, MOMENT_S, forget)

    def _forget(self, notice: str) -> None:
        if self.notice == notice:
            self.notice = ""

    def _note_line(self) -> NoteLine:
        """Return the line for notes of the present screen; a dialog gets one below it."""
        for line in self.screen.query(NoteLine):
            return line
        line = NoteLine()
        self.screen.mount(line)
        return line
