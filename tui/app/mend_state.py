"""Changing the data files from the app: other rows in their place, single rows, and the way back."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

from engine.dataset.convert.backup import newest_backup
from engine.errors import UserError
from engine.files import stamp_of
from engine.i18n import _
from engine.sanitize import one_line
from engine.training.lock import lock_owner
from tui.app.data_state import DataState
from tui.app.jobs import mend
from tui.app.jobs.mend import Change, DataMended
from tui.app.messages import DataCheckOver, DataCleaned
from tui.app.screens.shared.note_line import Busy
from tui.respawn import SUPERVISED
from tui.run.status import UNFINISHED, RunStatus
from tui.terminal.editor import start_editor

from textual import work
from textual.reactive import reactive

Stamp = tuple[tuple[int, int, int] | None, ...]
"""Number, size and time of change of each data file; None where there is none."""


class MendState(DataState):
    """One change at a time, and none while a run reads the data."""

    writing: reactive[str] = reactive("", init=False)
    """What is being written, such as the sample or a change of the rows, in words; empty for nothing."""
    new_rows: reactive[Path | None] = reactive(None, init=False)
    """Folder with rows that were cleaned or imported last, and can take the place of the data."""
    run_state: reactive[RunStatus] = reactive(RunStatus, init=False)
    """What the run is doing, as told by the training controller."""
    lend_terminal: Callable[[bool], None] = staticmethod(lambda _is_lent: None)
    """Told whether another program has the terminal; whoever starts the app may put another in its place."""

    _checked: Stamp = ()
    """What the files were when they were last checked."""
    _is_checking = False
    _is_outdated = False
    """Whether the check under way is of rows that are others now."""

    @property
    def can_undo(self) -> bool:
        """Whether there is a change of the data to be taken back."""
        return newest_backup(self.project.data_dir) is not None

    def start_data_check(self) -> None:
        """Check the data unless that is done, under way, or they are being changed."""
        if not self.writing:
            if self.data is None and not self.data_progress:
                self._checked, self._is_checking = self._stamp(), True
            super().start_data_check()

    def on_data_check_over(self, message: DataCheckOver) -> None:
        """Check again what was changed meanwhile."""
        self._is_checking = False
        if self._is_outdated:
            message.prevent_default()
            self._is_outdated, self.data_progress, self.data = False, "", None
            self.start_data_check()

    def on_data_cleaned(self, message: DataCleaned) -> None:
        """Offer the copy."""
        if message.cleaned:
            self.new_rows = message.cleaned.folder

    def use_rows(self, folder: Path) -> None:
        """Put the rows of a folder in the place of the data; ends with a `DataMended`."""
        from engine.dataset.convert.in_place import use_rows

        text = _("The rows of {folder} are in use.").format(folder=one_line(folder.name, 80))
        self._change(text, partial(use_rows, self.project, folder))

    def drop_row(self, file: str, line: int) -> None:
        """Take a row out of the data; ends with a `DataMended`."""
        from engine.dataset.convert.in_place import drop_row

        if self._is_as_checked():
            text = _("Line {line} of {file} is dropped.").format(file=file, line=f"{line:,}")
            self._change(text, partial(drop_row, self.project, file, line))

    def undo_change(self) -> None:
        """Take the last change of the data back; ends with a `DataMended`."""
        from engine.dataset.convert.in_place import undo

        self._change(_("The last change of the data is undone."), partial(undo, self.project))

    def edit_row(self, file: str, line: int) -> None:
        """Open the user's editor at a row; ends with a `DataMended`."""
        if self._is_as_checked() and self._begin(_("The editor is open")):
            self._edit(file, line)

    @work(thread=True, exit_on_error=False)
    def _edit(self, file: str, line: int) -> None:

        def show(command: Sequence[str]) -> int:
            return int(self.call_from_thread(cast("Any", self.show_editor), command))

        mend.edit_data(self.project, file, line, show, self.post_message)

    def _change(self, text: str, change: Change) -> None:
        if self._begin(_("Changing the rows")):
            self._run_change(text, change)

    @work(thread=True, exit_on_error=False)
    def _run_change(self, text: str, change: Change) -> None:
        mend.change_data(self.project, text, change, self.post_message)

    def _begin(self, doing: str) -> bool:
        """Say what begins, and end a check; refuse it while rows are copied, changed or trained on."""
        if self.writing or (self.data_progress and not self._is_checking):
            wait = _("wait for that, or end it with Escape")
            is_busy = lambda: bool(self.data_progress or self.writing)  # noqa: E731
            self.show_error(Busy(_("The data is being read"), wait, is_busy))
        elif self.run_state.is_training or lock_owner(self.project):
            wait = _("change the rows when the run is paused or over")
            is_training = lambda: self.run_state.is_training  # noqa: E731
            self.show_error(Busy(_("Training is running on the data"), wait, is_training))
        else:
            self.cancel_data_check()
            self.notice, self.writing = "", doing
            return True
        return False

    def _is_as_checked(self) -> bool:
        """Whether the lines are still those that were checked; says so where they are not."""
        if self._checked == self._stamp():
            return True
        problem = _("The data has changed since it was checked")
        self.show_error(UserError(problem, _("press r to check it again")))
        return False

    def _stamp(self) -> Stamp:
        return tuple(map(stamp_of, (self.project.train_file, self.project.valid_file)))

    def on_data_mended(self, message: DataMended) -> None:
        """Check the data again, and say what they are now and how they come back."""
        self.writing = ""
        if message.error:
            self.show_error(message.error)
        elif message.replaced is None:
            self.notice = message.text
        if message.replaced is None:
            return
        self.new_rows = None
        parts = [message.text]
        if message.replaced.folder.exists():
            text = _("What was there is in {folder}; z puts it back.")
            parts.append(text.format(folder=f"data/{message.replaced.folder.name}"))
        if self.run_state.phase in UNFINISHED:
            parts.append(_("The unfinished run goes on only with the rows it began with."))
        self.notice = " ".join(parts)
        self.data, self._is_outdated = None, self._is_checking
        self.start_data_check()

    async def show_editor(self, command: Sequence[str]) -> int:
        """Give the terminal to a program until that ends; return its exit code.

        Raises:
            UserError: it cannot be started.
        """
        code, refusal = 0, None
        with self.batch_update(), self.suspend():  # which does not come back after an exception
            self.lend_terminal(True)
            try:
                code = await _run(command)
            except UserError as error:
                refusal = error
            finally:
                self.lend_terminal(False)
        if refusal:
            raise refusal
        return code


async def _run(command: Sequence[str]) -> int:
    own = (SUPERVISED, "TEXTUAL_FPS", "TEXTUAL_ANIMATIONS")
    process = start_editor(command, sys.__stdout__.fileno() if sys.__stdout__ else 1, own)
    try:
        return await asyncio.to_thread(process.wait)
    finally:
        if process.poll() is None:  # the app is told to end
            process.terminate()
