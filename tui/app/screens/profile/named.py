"""Configurations under names: one is saved, or taken from the list of those that are kept."""

from abc import abstractmethod

from engine.config import TrainingConfig
from engine.errors import UserError
from engine.i18n import _
from engine.sanitize import one_line
from engine.training.named_configs import is_taken, named_configs, save_named
from tui.app.screens.profile.named_dialogs import NamedConfigList, NameScreen
from tui.app.screens.shared.base import PlaceScreen
from tui.app.screens.shared.dialog import ConfirmScreen

from textual.binding import Binding, BindingType

NAMED_KEYS: list[BindingType] = [
    Binding(
        "s",
        "save_named",
        _("Save as"),
        show=False,
        tooltip=_("Keep the values of the selected card under a name"),
        id="profile.save_named",
    ),
    Binding(
        "l",
        "load_named",
        _("Load"),
        show=False,
        tooltip=_("Take values that were kept under a name; rename or delete them"),
        id="profile.load_named",
    ),
]


class NamedConfigs(PlaceScreen):
    """The part of the profile screen that keeps configurations."""

    @abstractmethod
    def shown_config(self) -> TrainingConfig:
        """Return the values that are selected."""

    @abstractmethod
    def adopt(self, config: TrainingConfig, then: str) -> None:
        """Use values for the next run, and go on with the action `then`."""

    def action_save_named(self) -> None:
        """Ask for a name, and for a yes where it is taken; then keep the values."""
        self.clear_error()
        config, project = self.shown_config(), self.mqlora.project

        def save(name: str) -> None:
            try:
                save_named(project, name, config)
            except UserError as error:
                self.show_error(error)
                return
            self.mqlora.notice = _("Kept as {name}; l lists what is kept.").format(name=one_line(name, 80))

        def take(name: str | None) -> None:
            if name and is_taken(project, name):
                question = _("There is a configuration {name} already.").format(name=one_line(name, 80))
                dialog = ConfirmScreen(_("Replace it?"), question, yes=_("Replace"), no=_("Keep it"))
                self.app.push_screen(dialog, lambda sure: save(name) if sure else None)
            elif name:
                save(name)

        self.app.push_screen(NameScreen(), take)

    def action_load_named(self) -> None:
        """List what is kept, and use what is chosen."""
        self.clear_error()

        def take(config: TrainingConfig | None) -> None:
            if config:
                self.adopt(config, "")

        if named_configs(self.mqlora.project):
            self.app.push_screen(NamedConfigList(self.mqlora.project), take)
        else:
            fix = _("s keeps the values of the selected card under one")
            self.show_error(UserError(_("No configuration is kept under a name yet"), fix))
