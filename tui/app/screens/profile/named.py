"""Configurations under names: one is saved, or taken from the list of those that are kept."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from engine import units
from engine.config import TrainingConfig
from engine.errors import UserError
from engine.i18n import _
from engine.sanitize import one_line
from engine.training.named_configs import (
    LONGEST,
    NamedConfig,
    check_name,
    is_taken,
    named_configs,
    save_named,
)
from tui.app.screens.shared.base import PlaceScreen
from tui.app.screens.shared.dialog import ConfirmScreen, Dialog
from tui.app.screens.shared.line_input import LineInput
from tui.words import profile_name

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

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
        tooltip=_("Take values that were kept under a name"),
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

        if kept := named_configs(self.mqlora.project):
            self.app.push_screen(NamedConfigList(kept), take)
        else:
            fix = _("s keeps the values of the selected card under one")
            self.show_error(UserError(_("No configuration is kept under a name yet"), fix))


class NameScreen(Dialog[str | None]):
    """Asks for a name; answers with one that a file can have."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", _("Stay"), id="name.stay"),
    ]

    def compose(self) -> ComposeResult:
        """Draw one small box."""
        with Vertical(classes="dialog config-name") as box:
            box.border_title = Content(_("Keep these values as"))
            box.border_subtitle = Content(_("Enter keeps them, Esc stays"))
            yield LineInput(placeholder=_("name"), max_length=LONGEST, compact=True)
            yield Static(id="name-news", markup=False)

    @on(Input.Submitted)
    def _answer(self, event: Input.Submitted) -> None:
        try:
            self.dismiss(check_name(event.value))
        except UserError as error:
            self.query_one("#name-news", Static).update(f"✗ {one_line(str(error), 300)}")


class NamedConfigList(Dialog[TrainingConfig | None]):
    """Answers with the chosen configuration, or with None; one that cannot be loaded says why."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", _("Stay"), id="named.stay"),
    ]

    def __init__(self, kept: Sequence[NamedConfig]) -> None:
        super().__init__()
        self._kept = kept

    def compose(self) -> ComposeResult:
        """Draw the list, and what the highlighted one is."""
        with Vertical(classes="dialog pick") as box:
            box.border_title = Content(_("Kept values"))
            box.border_subtitle = Content(_("Enter uses them, Esc stays"))
            yield OptionList(*(Option(_drawn(one)) for one in self._kept))
            yield Static(id="named-news", markup=False)

    def on_mount(self) -> None:
        """Begin with the first."""
        self.query_one(OptionList).highlighted = 0
        self.query_one(OptionList).focus()

    @on(OptionList.OptionHighlighted)
    def _show(self, event: OptionList.OptionHighlighted) -> None:
        self.query_one("#named-news", Static).update(_told(self._kept[event.option_index]))

    @on(OptionList.OptionSelected)
    def _take(self, event: OptionList.OptionSelected) -> None:
        if config := self._kept[event.option_index].config:
            self.dismiss(config)


def _drawn(one: NamedConfig) -> Content:
    return Content.assemble("" if one.config else ("✗ ", "$error"), one_line(one.name, 80))


def _told(one: NamedConfig) -> str:
    if one.config is None:
        return f"✗ {one_line(str(one.error), 300)}"
    text = _("{profile}: {batch} × {accumulation} a step, {length}, rate {rate}, rank {rank}")
    return text.format(
        profile=profile_name(one.config),
        batch=one.config.batch_size,
        accumulation=one.config.gradient_accumulation,
        length=units.tokens(one.config.max_seq_length),
        rate=units.rate(one.config.learning_rate),
        rank=one.config.lora_rank,
    )
