"""The dialogs about configurations under names: the name of one, and the list of those that are kept."""

from collections.abc import Callable
from functools import partial
from typing import ClassVar

from engine import units
from engine.config import TrainingConfig
from engine.errors import UserError
from engine.i18n import _
from engine.project import Project
from engine.sanitize import one_line
from engine.training.named_configs import (
    LONGEST,
    NamedConfig,
    bring_back,
    check_name,
    delete_named,
    named_configs,
    rename_named,
)
from tui.app.screens.shared.dialog import ConfirmScreen, Dialog, DialogKeys
from tui.app.screens.shared.line_input import LineInput
from tui.words import profile_name

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option


class NameScreen(Dialog[str | None]):
    """Asks for a name, or another one than `name`; answers with one that a file can have."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", _("Leave"), id="name.leave"),
    ]

    def __init__(self, name: str = "") -> None:
        super().__init__()
        self._before = name

    def compose(self) -> ComposeResult:
        """Draw one small box."""
        with Vertical(classes="dialog config-name") as box:
            box.border_title = Content(_("Rename") if self._before else _("Keep these values as"))
            box.border_subtitle = Content(
                _("Enter takes it, Esc leaves") if self._before else _("Enter keeps them, Esc leaves")
            )
            yield LineInput(self._before, placeholder=_("name"), max_length=LONGEST, compact=True)
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
        Binding("m", "rename", _("Rename"), id="named.rename"),
        Binding("D,delete", "delete", _("Delete"), id="named.delete"),
        Binding("z", "undo", _("Undo"), id="named.undo"),
        Binding("escape", "dismiss(None)", _("Close"), id="named.close"),
    ]

    def __init__(self, project: Project) -> None:
        super().__init__()
        self._project = project
        self._kept: list[NamedConfig] = []
        self._deleted = ""
        """Name of the one that `z` brings back."""

    def compose(self) -> ComposeResult:
        """Draw the list, and what the highlighted one is."""
        with Vertical(classes="dialog pick") as box:
            box.border_title = Content(_("Kept values"))
            yield OptionList()
            yield Static(id="named-news", markup=False)
            yield DialogKeys(
                ("enter", "Enter", _("Use them")),
                ("m", "m", _("Rename")),
                ("D", "D", _("Delete")),
                ("escape", "Esc", _("Close")),
            )

    def on_mount(self) -> None:
        """Begin with the first."""
        self._list()
        self.query_one(OptionList).focus()

    def action_rename(self) -> None:
        """Ask for another name of the highlighted one."""
        if not (one := self._highlighted):
            return
        old = one.name

        def rename(new: str | None) -> None:
            if new and new != old:
                self._change(partial(rename_named, self._project, old, new), new)

        self.app.push_screen(NameScreen(old), rename)

    def action_delete(self) -> None:
        """Ask, then delete the highlighted one."""
        if not (one := self._highlighted):
            return
        name = one.name

        def delete(sure: bool | None) -> None:
            if sure and self._change(partial(delete_named, self._project, name)):
                self._deleted = name
                self._say(_("{name} is deleted; z brings it back.").format(name=one_line(name, 80)))

        text = _("{name} goes from the folder configurations/; z brings back the last one.")
        question = text.format(name=one_line(name, 80))
        dialog = ConfirmScreen(_("Delete these values?"), question, yes=_("Delete"), no=_("Keep it"))
        self.app.push_screen(dialog, delete)

    def action_undo(self) -> None:
        """Bring the last one back that was deleted here."""
        if not self._deleted:
            self._say(_("Nothing was deleted here."))
        elif self._change(partial(bring_back, self._project, self._deleted), self._deleted):
            self._deleted = ""

    @property
    def _highlighted(self) -> NamedConfig | None:
        position = self.query_one(OptionList).highlighted
        return None if position is None else self._kept[position]

    def _change(self, change: Callable[[], None], name: str = "") -> bool:
        """Change what is kept and go to `name`; False where that is refused, which is said."""
        try:
            change()
        except UserError as error:
            self._say(f"✗ {one_line(str(error), 300)}")
            return False
        self._list(name)
        return True

    def _list(self, name: str = "") -> None:
        """List what is kept now, and highlight `name`, else what is in the place of the one before."""
        self._kept = named_configs(self._project)
        names, options = [one.name for one in self._kept], self.query_one(OptionList)
        position = names.index(name) if name in names else options.highlighted or 0
        with options.prevent(OptionList.OptionHighlighted):  # what is said next stays
            options.set_options(Option(_drawn(one)) for one in self._kept)
            options.highlighted = min(position, len(names) - 1) if names else None
        self._say(_told(one) if (one := self._highlighted) else "")

    def _say(self, text: str) -> None:
        self.query_one("#named-news", Static).update(text)

    @on(OptionList.OptionHighlighted)
    def _show(self, event: OptionList.OptionHighlighted) -> None:
        self._say(_told(self._kept[event.option_index]))

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
