"""What the keys of the history change: notes, names, and where a run lies."""

import asyncio
from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from engine.errors import UserError
from engine.i18n import _
from engine.runs.changes import (
    archive_present,
    bring_back,
    check_new_name,
    contents_of,
    delete_run,
    rename_run,
)
from engine.runs.note import LONGEST, write_note
from engine.runs.places import RunPlace
from tui.app.screens.history.dialogs import LineScreen, bring_it_back, delete_for_good, put_away
from tui.app.screens.history.run_table import RunTable
from tui.app.screens.shared.base import PlaceScreen
from tui.app.screens.shared.note_line import Busy
from tui.app.screens.train.train import TrainScreen

from textual import work

Changed = TypeVar("Changed")
_LONGEST_NAME = 80


class ChangingScreen(PlaceScreen):
    """Changes the folder of the run under the cursor of its table, then reads the runs anew."""

    def __init__(self) -> None:
        super().__init__()
        self._table = RunTable()

    @abstractmethod
    def read_runs(self) -> None:
        """List the runs as they are now."""

    @abstractmethod
    def keep_mark(self, before: RunPlace, now: RunPlace) -> None:
        """Let a run that was renamed stay marked."""

    def action_note(self) -> None:
        """Ask for the note and keep it."""
        if record := self._table.record_of(self._table.place):
            project = record.place.project

            def keep(text: str | None) -> None:
                if text is not None:
                    self._change(lambda: write_note(project, text), "")

            self.app.push_screen(LineScreen(_("Note"), record.note, LONGEST), keep)

    def action_rename(self) -> None:
        """Ask for the name of the archived run."""
        if place := self._table.place:

            def rename(name: str | None) -> None:
                if name is not None and name.strip() != place.name:
                    self._change(lambda: rename_run(place, name), "", partial(self.keep_mark, place))

            self.app.push_screen(
                LineScreen(_("Rename"), place.label, _LONGEST_NAME, partial(check_new_name, place)), rename
            )

    @work(exit_on_error=False)
    async def action_delete(self) -> None:
        """Say what would go, and delete it if that is wanted."""
        if place := self._table.place:
            contents = await asyncio.to_thread(contents_of, place)
            if await self.answer_to(delete_for_good(place, contents)):
                name = place.label
                self._change(lambda: delete_run(place), _("{name} is deleted.").format(name=name))

    @work(exit_on_error=False)
    async def action_archive(self) -> None:
        """Ask, then move the present run into the archive."""
        if not self._refuse_busy() and await self.answer_to(put_away()):
            project = self.mqlora.project
            await self._compute(lambda: archive_present(project))

    @work(exit_on_error=False)
    async def action_resume(self) -> None:
        """Go on with the run; one in the archive takes the place of the present one first."""
        place = self._table.place
        if place is None or self._refuse_busy():
            return
        if not place.is_present and not (
            await self.answer_to(bring_it_back(place)) and await self._compute(lambda: bring_back(place))
        ):
            return
        await self.app.switch_mode("train")
        if isinstance(self.app.screen, TrainScreen):
            self.app.screen.action_resume()

    def _refuse_busy(self) -> bool:
        """Whether something else computes, which is said."""
        app = self.mqlora
        error: UserError | None = None
        if app.run_state.is_training:
            wait = _("do that when the run is paused or over")
            error = Busy(_("Training is running"), wait, lambda: app.run_state.is_training)
        elif not app.engine.idle.is_set():
            error = UserError(_("A chat, or another job, is using MLX"), _("do that when it is over"))
        if error:
            self.show_error(error)
        return error is not None

    @work(group="history-change", exit_on_error=False)
    async def _change(
        self, job: Callable[[], Changed], notice: str, then: Callable[[Changed], None] = lambda _now: None
    ) -> None:
        """Change a folder in a thread, then read the runs anew.

        Args:
            job: changes it.
            notice: what is to be said afterwards; empty for nothing.
            then: gets what the job returned.
        """
        self.clear_error()
        try:
            then(await asyncio.to_thread(job))
        except UserError as error:
            self.show_error(error)
        else:
            if notice:
                self.mqlora.show_notice(notice)
        self.read_runs()

    async def _compute(self, job: Callable[[], None]) -> bool:
        """Do what imports MLX on the engine's thread; False if it was refused."""
        self.clear_error()
        try:
            await asyncio.wrap_future(self.mqlora.engine.submit(job))
        except UserError as error:
            self.show_error(error)
            return False
        finally:
            self.mqlora.look_at_run()
            self.read_runs()
        return True
