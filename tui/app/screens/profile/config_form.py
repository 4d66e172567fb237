"""A form with every value of the configuration, checked as it is typed."""

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar, cast

from engine.config import TrainingConfig
from engine.errors import UserError
from engine.i18n import _
from engine.project import Project
from tui.app.jobs.price import price
from tui.app.screens.profile.config_field import ConfigField
from tui.app.screens.profile.outlook import Outlook
from tui.app.screens.shared.base import PlaceScreen
from tui.app.screens.shared.button import Button
from tui.app.screens.shared.choice import Pick
from tui.app.screens.shared.unsaved import FormDialog, FormResult

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Input

if TYPE_CHECKING:
    from tui.app.state import AppState

_FIRST = 12
"""Fields that are there at once, which is what a terminal shows; the others follow the first picture."""
_TYPING_S = 0.15
"""A pause in typing after which memory and time are found out."""


class Fields(VerticalScroll, inherit_bindings=False):
    """The scrolling part; it leaves the arrow keys to the form."""


class ConfigForm(FormDialog[TrainingConfig]):
    """One `ConfigField` per field of `TrainingConfig`; answers with a valid configuration or none."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "save", _("Save"), priority=True, id="form.save"),
        Binding("down,tab", "move(1)", _("Next field"), show=False, id="form.next"),
        Binding("up,shift+tab", "move(-1)", _("Previous field"), show=False, id="form.previous"),
    ]

    VERTICAL_BREAKPOINTS = PlaceScreen.VERTICAL_BREAKPOINTS

    def __init__(self, config: TrainingConfig, project: Project) -> None:
        super().__init__()
        self._mounting = asyncio.Lock()
        self._config = config
        models = tuple(project.models())
        self._fields = [
            ConfigField(name, getattr(config, name), models) for name in TrainingConfig.model_fields
        ]

    @property
    def _mqlora(self) -> "AppState":
        return cast("AppState", self.app)

    def compose(self) -> ComposeResult:
        """Draw the fields in their order, what follows from them, then the buttons."""
        with Vertical(classes="dialog form") as box:
            box.border_title = Content(_("Every value of the run"))
            box.border_subtitle = Content(_("Ctrl+S saves, Esc closes"))
            with Fields(can_focus=False):
                yield from self._fields[:_FIRST]
            yield Outlook(id="outlook")
            with Horizontal(classes="buttons"):
                yield Button(_("Save"), id="save", compact=True)
                yield Button(_("Close"), id="leave", compact=True)

    def on_mount(self) -> None:
        """Follow what is known of rows and machine; let the other fields follow the first picture."""
        self._fields[0].editor.focus()
        self.call_after_refresh(self._mount_others)
        for state in ("data", "hardware"):
            self.watch(self.app, state, self._follow)

    async def _mount_others(self) -> None:
        async with self._mounting:
            if self.is_attached and not self._fields[-1].is_attached:
                await self.query_one(Fields).mount_all(self._fields[_FIRST:])

    async def action_move(self, by: int) -> None:
        """Go to the next field or the one before, in their order: Textual's is that of the places on the
        screen, where fields that were mounted a moment ago have none yet and come first."""
        await self._mount_others()
        editors = [field.editor for field in self._fields]
        here = self.focused or editors[0]  # which is about to have it
        index = editors.index(here) + by if here in editors else -1
        if 0 <= index < len(editors):
            self.set_focus(editors[index])
        else:
            await self.app.run_action("focus_next" if by > 0 else "focus_previous")

    @on(Input.Changed)
    @on(Pick.Changed)
    def _check_field(self, event: Input.Changed | Pick.Changed) -> None:
        field = next(node for node in event.control.ancestors if isinstance(node, ConfigField))
        field.show_problem(_problem(TrainingConfig(), {field.field: field.value}))
        self._look_ahead()

    @on(Input.Submitted)
    async def _next_field(self) -> None:
        await self.action_move(1)

    def _follow(self) -> None:
        self._look_ahead()

    @work(exclusive=True, group="outlook", exit_on_error=False)
    async def _look_ahead(self) -> None:
        """Show what follows from the values: at once what is quick, after a pause memory and time."""
        outlook, data, hardware = self.query_one(Outlook), self._mqlora.data, self._mqlora.hardware
        try:
            config = self._config.updated(self._values)
        except UserError:
            outlook.show_wrong()
            return
        outlook.show(config, data, None)
        if hardware:
            await asyncio.sleep(_TYPING_S)
            outlook.show(
                config, data, await asyncio.to_thread(price, self._mqlora.project, config, hardware, data)
            )

    @property
    def _values(self) -> dict[str, Any]:
        """What the fields hold, not yet checked."""
        return {field.field: field.value for field in self._fields}

    @property
    def is_changed(self) -> bool:
        """Whether the fields mean another configuration, or one is wrong."""
        try:
            return self._config.updated(self._values) != self._config
        except UserError:
            return True

    @on(Button.Pressed, "#save")
    def action_save(self) -> None:
        """Save and stay on the place below."""
        self.save("")

    def save(self, then: str) -> None:
        """Answer with the values, or go to the first field that is wrong."""
        for field in self._fields:
            if problem := _problem(TrainingConfig(), {field.field: field.value}):
                self._show(field, problem)
                return
        if problem := _problem(self._config, self._values):  # each is right by itself, but not beside another
            changed = [field for field in self._fields if self._is_other(field)]
            self._show(changed[-1], problem)
            return
        self.dismiss(FormResult(self._config.updated(self._values), then))

    def _is_other(self, field: ConfigField) -> bool:
        alone = TrainingConfig().updated({field.field: field.value})
        return bool(getattr(alone, field.field) != getattr(self._config, field.field))

    def _show(self, field: ConfigField, problem: UserError) -> None:
        field.show_problem(problem)
        field.editor.focus()

    @on(Button.Pressed, "#leave")
    def _leave(self) -> None:
        self.action_leave("")


def _problem(config: TrainingConfig, values: dict[str, Any]) -> UserError | None:
    """Return what is wrong with values in a configuration; with one value alone, take the defaults'."""
    try:
        config.updated(values)
    except UserError as error:
        return error
    return None
