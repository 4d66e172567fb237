"""Refusals and notices: shown in place, where they cover nothing and stay until they are dismissed."""

from collections.abc import Callable
from functools import partial

from engine.errors import UserError
from engine.i18n import _
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

    async def _check_bindings(self, key: str, priority: bool = False) -> bool:
        """Do what a key does; one that does something at other times is not met with silence."""
        if await super()._check_bindings(key, priority):
            return True
        if not priority and (action := self._action_at_other_times(key)):
            self.show_notice(self._why_not(action))
        return False

    def _action_at_other_times(self, key: str) -> str:
        """Return what a letter or Enter would do here, if that could be done now; empty for nothing."""
        if len(key) > 1 and key != "enter":
            return ""
        for _node, bindings in self.screen._modal_binding_chain:
            for binding in bindings.key_to_bindings.get(key, ()):
                if binding.description:
                    return binding.action
        return ""

    def _why_not(self, action: str) -> str:
        why = self.screen.why_not(action.partition("(")[0]) if isinstance(self.screen, Noted) else ""
        return why or _("That cannot be done now; ? shows what can be done here.")

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
