"""How the app looks, and how it makes itself noticed by somebody who looks elsewhere."""

import os
from typing import Any

from engine.errors import UserError
from engine.i18n import _
from engine.sanitize import one_line
from engine.training.lock_file import Owner
from tui.app.settings import AppSettings, load_settings, save_settings
from tui.app.state import AppState
from tui.app.theme import THEME, THEMES, teach
from tui.run.status import RunStatus
from tui.terminal import announce
from tui.terminal.driver import PatientDriver

import msgspec
from textual.reactive import reactive

_LOOK_S = 1.0
"""Time between two looks for a run of another process."""


class LookApp(AppState):
    """Applies the user's settings, which outlive the app, and announces how runs end."""

    settings: reactive[AppSettings] = reactive(AppSettings, init=False)
    """The user's, for all projects."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._other: Owner | None = None
        """The other process that made the run at the last look."""
        self.settings_error: UserError | None = None
        """Why the settings could not be read."""
        try:
            self.set_reactive(LookApp.settings, load_settings())
        except UserError as error:
            self.settings_error = error
        for theme in THEMES.values():
            self.register_theme(theme)
        self.theme = self.settings.theme

    def on_mount(self) -> None:
        """Say what is wrong with the settings, and follow the run."""
        if self.settings_error:
            self.call_after_refresh(self.show_error, self.settings_error)
        self.watch(self, "run_state", self._announce, init=False)
        self.set_interval(_LOOK_S, self._look_elsewhere)
        self._show_title()

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Name this app's own colours, so that every theme has them."""
        return THEME.variables

    def get_css_variables(self) -> dict[str, str]:
        """Return the colours of the theme, which Rich's console learns too."""
        variables = super().get_css_variables()
        teach(self.console, variables)
        return variables

    def change_settings(self, **changes: Any) -> None:
        """Use other settings from now on, and keep them.

        Raises:
            UserError: they cannot be kept, and hold until the app ends.
        """
        self.settings = msgspec.structs.replace(self.settings, **changes)
        save_settings(self.settings)

    def watch_settings(self, settings: AppSettings) -> None:
        """Show what was chosen."""
        self.theme = settings.theme
        self._show_title()

    def _look_elsewhere(self) -> None:
        """Notice in every place that another process has begun a run, or no longer makes one."""
        other = self.training.other_process()
        if other != self._other:
            self._other = other
            self.look_at_run()

    def _announce(self, before: RunStatus, now: RunStatus) -> None:
        """Say on the terminal's title what the run is doing, and more loudly that it does no more."""
        self._show_title()
        if not before.is_training or now.is_training or now.phase == "idle" or self.is_leaving:
            return
        if self.settings.bell:
            self._send(announce.BELL)
        if self.settings.notification:
            self._send(announce.notification(self._news(), "mqlora-tui", os.environ))

    @property
    def is_leaving(self) -> bool:
        """Whether the app ends as soon as the run is saved."""
        return False

    def _news(self) -> str:
        run = self.run_state
        name = one_line(self.project.root.name, 40)
        return _("{project}: {state}").format(project=name, state=run.words)

    def _show_title(self) -> None:
        if isinstance(self._driver, PatientDriver) and announce.has_title(os.environ):
            text = f"{self.run_state.symbol} {self._news()}" if self.settings.title else ""
            self._driver.set_title(text)

    def _send(self, sequence: str) -> None:
        """Write a control sequence of this program's own to the terminal."""
        if sequence and isinstance(self._driver, PatientDriver):
            self._driver.write(sequence)
