"""How the app is left: at once, after a question, or when the run that it makes is saved."""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from engine.i18n import _
from tui.app.look import LookApp
from tui.app.screens.shared.dialog import ConfirmScreen, Dialog
from tui.app.screens.shared.note_line import Busy
from tui.app.screens.shared.unsaved import FormDialog, UnsavedScreen
from tui.app.screens.train.questions import LeaveChoice, LeaveTrainingScreen, leave_work


class LeavingApp(LookApp):
    """Ends without losing what is typed, computed or trained."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._leaving = False
        self.hands_over = False
        """Whether the run goes on in the background when this app has left it."""
        self._event_loop: asyncio.AbstractEventLoop | None = None

    def on_mount(self) -> None:
        """Remember what other threads leave by."""
        self._event_loop = asyncio.get_running_loop()

    @property
    def is_leaving(self) -> bool:
        """Whether the app ends as soon as the run is saved."""
        return self._leaving

    def exit_from_signal(self) -> None:
        """Ask the app to exit, on any thread."""
        if self._event_loop is not None and not self._event_loop.is_closed():
            self._event_loop.call_soon_threadsafe(self.exit, 0)

    async def action_quit(self) -> None:
        """Leave at once, as soon as a pause is saved, or ask first: while training, and of a changed form."""
        if any(isinstance(screen, FormDialog) and screen.is_changed for screen in self.screen_stack):
            self._ask_about_form()
        elif self.training.is_taking_over:
            problem, wait = _("The run is on its way here"), _("leave when it has arrived")
            self.show_error(Busy(problem, wait, lambda: self.training.is_taking_over))
        elif at_work := [dialog for dialog in self._dialogs() if dialog.at_work]:
            self._ask_about_work(at_work)
        elif not self.training.is_running:
            self.exit(0)
        elif self._leaving:
            return
        elif self.training.status().phase == "pausing":
            self._leave("pause")
        elif not isinstance(self.screen, ConfirmScreen | LeaveTrainingScreen):
            self.push_screen(LeaveTrainingScreen(), self._leave)

    def _ask_about_form(self) -> None:
        """Ask what shall become of the changes, unless that is being asked."""
        while not isinstance(self.screen, FormDialog | UnsavedScreen):
            self.pop_screen()  # such as the palette
        if isinstance(self.screen, FormDialog):
            self.screen.action_leave("app.quit")

    def _dialogs(self) -> Iterator[Dialog[Any]]:
        """Yield the dialogs that are open, in whichever place."""
        screens = chain.from_iterable(self._screen_stacks.values())
        return (screen for screen in screens if isinstance(screen, Dialog))

    def _ask_about_work(self, dialogs: Sequence[Dialog[Any]]) -> None:
        """Ask whether what dialogs are at may be ended, unless that is being asked; then leave."""

        async def leave(confirmed: bool | None) -> None:
            if confirmed:
                for dialog in dialogs:
                    dialog.stop_work()
                await self.action_quit()

        if not isinstance(self.screen, ConfirmScreen):
            self.push_screen(leave_work(" ".join(dialog.at_work for dialog in dialogs)), leave)

    def _leave(self, choice: LeaveChoice | None) -> None:
        """Leave as soon as the run of this process is saved; it may just have ended."""
        if choice in ("pause", "keep"):
            self._leaving, self.hands_over = True, choice == "keep"
            self.notice = _("Saving a checkpoint, then leaving.")
            if self.hands_over:
                self.notice = _("Saving a checkpoint, then leaving; the run goes on in the background.")
            if not self.training.pause():
                self.exit(0)
