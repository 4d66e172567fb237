"""Look and signals of the app: each line says what is chosen, Enter or a click goes on to the next choice."""

import os
from collections.abc import Iterator
from typing import ClassVar, cast

from engine.errors import UserError
from engine.i18n import _
from tui.app.look import LookApp
from tui.app.screens.shared.dialog import Dialog
from tui.app.settings import AppSettings
from tui.app.theme import THEME_WORDS, THEMES
from tui.terminal.announce import has_title, notifies_by

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

_LABEL_CELLS = 24


class AppSettingsScreen(Dialog[None]):
    """A list; what is changed counts at once and is kept."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,comma", "dismiss", _("Close"), id="settings.close"),
        Binding("enter,space", "change", _("Change"), id="settings.change"),
    ]

    @property
    def _mqlora(self) -> LookApp:
        return cast(LookApp, self.app)

    def compose(self) -> ComposeResult:
        """Draw one box."""
        with Vertical(classes="dialog") as box:
            box.border_title = Content(_("Look and signals"))
            box.border_subtitle = Content(_("Enter changes, Esc closes"))
            yield OptionList(*self._options())

    def _options(self) -> Iterator[Option]:
        for key, (label, value) in described(self._mqlora.settings).items():
            text = Content.assemble((label.ljust(_LABEL_CELLS), "$muted"), value)
            yield Option(text, id=key)

    def action_change(self) -> None:
        """Go on to the next choice of the highlighted line."""
        self.query_one(OptionList).action_select()

    @on(OptionList.OptionSelected)
    def _change(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        key, settings = event.option.id or "", self._mqlora.settings
        names = list(THEMES)
        value = (
            names[(names.index(settings.theme) + 1) % len(names)]
            if key == "theme"
            else not getattr(settings, key)
        )
        try:
            self._mqlora.change_settings(**{key: value})
        except UserError as error:
            self._mqlora.show_error(error)
        self._draw(event.option_index)

    def _draw(self, highlighted: int) -> None:
        options = self.query_one(OptionList).clear_options()
        options.add_options(self._options())
        options.highlighted = highlighted


def described(settings: AppSettings) -> dict[str, tuple[str, str]]:
    """Return for each setting what it is called and what is chosen, in words."""
    return {
        "theme": (_("Colours"), THEME_WORDS[settings.theme]),
        "title": (_("Terminal's title"), _switch(settings.title, has_title(os.environ))),
        "bell": (_("Bell"), _switch(settings.bell, True)),
        "notification": (
            _("Desktop notification"),
            _switch(settings.notification, bool(notifies_by(os.environ))),
        ),
    }


def _switch(is_on: bool, is_known: bool) -> str:
    if not is_on:
        return _("off")
    return _("on") if is_known else _("on; this terminal has none")
