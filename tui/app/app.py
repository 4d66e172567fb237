"""The app: its seven places, its keys and the little state that they share."""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePath
from typing import Any, ClassVar

from engine.errors import UserError
from engine.i18n import _
from engine.importing import importing
from engine.project import Project
from engine.training.events import Resumption
from engine.training.lock_file import Owner
from tui.app.commands import CommandsApp, open_place, place_class
from tui.app.keys import APP_KEYS, KEY_NAMES, PLACES
from tui.app.leaving import LeavingApp
from tui.app.screens.shared.base import PlaceScreen
from tui.app.screens.shared.dialog import Dialog
from tui.app.screens.train.questions import PauseOtherScreen
from tui.app.style_sheets import patch_style_sheets
from tui.app.textual_faults import EndingApp, patch_ast, patch_lists
from tui.no_break import keep_together
from tui.run.handover import hand_over, has_notice
from tui.run.other_process import nothing_to_pause
from tui.run.status import UNFINISHED
from tui.shell import work_in
from tui.terminal.driver import PatientDriver
from tui.terminal.filter import FAINT, HARMLESS

from textual import work
from textual.binding import Binding, BindingType
from textual.filter import LineFilter
from textual.screen import Screen
from textual.worker import Worker, WorkerState

_FUNCTION_KEY = re.compile(r"f\d+")
LOOK_SECONDS = 2.0
"""Time between two looks at what other processes do to the run."""


class MqloraApp(CommandsApp, LeavingApp, EndingApp):
    """Declares places, keys and shared state; the screens do the work."""

    TITLE = "mqlora-tui"
    CSS_PATH: ClassVar[list[str | PurePath]] = sorted((Path(__file__).parent / "styles").glob("*.tcss"))
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {
        mode: partial(open_place, mode) for mode in PLACES
    }
    DEFAULT_MODE = "hardware"
    BINDINGS: ClassVar[list[BindingType]] = APP_KEYS

    def __init__(self, project: Project, go_on: bool = False, half_micro_batch: bool = False) -> None:
        """Prepare the app.

        Args:
            project: the project directory.
            go_on: resume the unfinished run as soon as the app is up.
            half_micro_batch: do that with micro-batches of half the size.
        """
        super().__init__(project)
        work_in(project)
        keep_together()
        patch_lists()
        patch_ast()
        patch_style_sheets()
        self.driver_class = PatientDriver
        self.on_hang_up: Callable[[], None] = lambda: None
        """Called when the terminal is gone, on any thread."""
        self._go_on = go_on
        self._half_micro_batch = half_micro_batch
        self._has_places = False
        """Whether their modules were asked for."""

    def on_mount(self) -> None:
        """Learn what the run is doing, look at the machine, and follow both."""
        asyncio.get_running_loop().set_default_executor(self.pool)
        self.training.follow(self)
        self.look_at_run()
        self.set_interval(LOOK_SECONDS, self.look_elsewhere)
        # In another process, perhaps since the last connection was lost, or to go on with: that comes first.
        is_under_way = self.run_state.is_training or self.run_state.phase in UNFINISHED
        if is_under_way or self._go_on or has_notice(self.project):
            self.switch_mode("train")
        if self.start_error:
            self.call_after_refresh(self.show_error, self.start_error)
        if self._go_on and not self.run_state.is_training:
            self.call_after_refresh(self._resume)
        # Only when the first screen is drawn: threads that compute would hold it back.
        self.call_after_refresh(self.start_hardware_check)

    def _resume(self) -> None:
        try:
            self.training.start(None, "resume", Resumption(self._half_micro_batch))
        except UserError as error:
            self.show_error(error)

    def watch_recommendation(self) -> None:
        """Make the other places ready, once the verdict is there: it would wait for their modules."""
        if not self._has_places:
            self._has_places = True
            self.call_after_refresh(self._import_places)

    @work(thread=True, exit_on_error=False)
    def _import_places(self) -> None:
        """Import the other screens while the first one is read, so that they open at once."""
        with importing():
            for mode in PLACES:
                place_class(mode)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Let nothing reach the terminal that could steer it."""
        faint = [FAINT] if self.native_ansi_color else []
        return [*super().get_line_filters(), HARMLESS, *faint]

    def get_key_display(self, binding: Binding) -> str:
        """Write the names of keys as on the keyboard."""
        if known := binding.key_display or KEY_NAMES.get(binding.key):
            return known
        *modifiers, key = binding.key.split("+")
        shown = KEY_NAMES.get(key) or super().get_key_display(replace(binding, key=key))
        is_letter = modifiers and len(shown) == 1
        names = [name.capitalize() for name in modifiers]
        return "+".join([*names, shown.upper() if is_letter or _FUNCTION_KEY.fullmatch(key) else shown])

    def on_run_changed(self) -> None:
        """Show the new phase everywhere; leave if this is the pause that quitting asked for."""
        self.look_at_run()
        if not self._leaving or self.run_state.is_training:
            return
        if refusal := self.training.refusal:  # a run that could not be saved is not left without a word
            self._leaving, self.notice = False, ""
            self.show_error(refusal)
        else:
            if self.hands_over:
                hand_over(self.project, why="left")
            self.exit(0)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Show a defect in a background job instead of ending the app."""
        if event.state is WorkerState.ERROR:
            self.forget_checks()
            problem = _("Unexpected error: {error!r}").format(error=event.worker.error)
            self.show_error(UserError(problem, _("report it with the steps that led here")))

    def action_help(self) -> None:
        """List every key of the present place."""
        from tui.app.screens.shared.help import HelpScreen

        if isinstance(self.screen, PlaceScreen):
            self.push_screen(HelpScreen(self.screen.place_name, self.screen))
        else:
            self.show_notice(_("The keys of this box stand at its edge; Esc closes it."))

    def key_ctrl_z(self) -> None:
        """Say that the key, which stops other programs, does nothing here."""
        self.show_notice(_("Ctrl+Z does not stop this app; q leaves it."))

    def on_paste(self) -> None:
        """Say that no field took what was pasted."""
        self.show_notice(_("There is no text field here to paste into."))

    def action_copy_or_pause(self) -> None:
        """Copy the selection; without one pause training or stop a reply; else say what the key does."""
        from textual.widgets import Input, TextArea

        if text := self._selected_text():
            self.copy_to_clipboard(text)
            self.show_notice(_("Copied."))
        elif not self.training.is_running and self._stops_work():
            return  # a run of another process is not what was meant
        elif self.training.is_running:
            self._pause()
        elif other := self.training.askable():
            self._ask_to_pause(other)
        elif self.run_state.phase == "starting":
            self.show_notice(_("The run is only starting; it can be paused as soon as it is shown running."))
        else:
            is_typing = isinstance(self.screen.focused, Input | TextArea)  # q would be typed
            key = "q" if isinstance(self.screen, PlaceScreen) and not is_typing else "Ctrl+Q"
            self.show_notice(nothing_to_pause(self.training.other_process(), key))

    def _pause(self) -> None:
        """Pause the run, whoever makes it; it may just have ended."""
        if self.training.pause():
            self.look_at_run()
            if self.current_mode != "train":
                self.show_notice(_("The run is asked to pause; it saves a checkpoint first."))

    def _ask_to_pause(self, other: Owner) -> None:
        """Ask before a run that somebody began elsewhere is paused, once."""
        if self.training.status().phase == "pausing":
            self.show_notice(_("The run is asked to pause; it saves a checkpoint first."))
        else:
            self.push_screen(PauseOtherScreen(other), lambda yes: self._pause() if yes else None)

    def _stops_work(self) -> bool:
        """Stop what the place or dialog is at, such as a reply or an export; False if it is at nothing."""
        return isinstance(self.screen, PlaceScreen | Dialog) and self.screen.stop_work()

    def _selected_text(self) -> str:
        in_field = getattr(self.screen.focused, "selected_text", "")  # a line, or several
        return in_field or self.screen.get_selected_text() or ""

    def action_settings(self) -> None:
        """Choose look and signals."""
        from tui.app.screens.shared.app_settings import AppSettingsScreen

        if not isinstance(self.screen, AppSettingsScreen):
            self.push_screen(AppSettingsScreen())
