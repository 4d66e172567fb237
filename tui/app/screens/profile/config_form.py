"""A form with every value of the configuration, checked as it is typed."""

from typing import Any, ClassVar

from engine.config import TrainingConfig
from engine.errors import UserError
from engine.i18n import _
from engine.project import Project
from tui.app.screens.profile.config_field import ConfigField
from tui.app.screens.shared.base import PlaceScreen
from tui.app.screens.shared.unsaved import FormDialog, FormResult

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Input, Select


class Fields(VerticalScroll, inherit_bindings=False):
    """The scrolling part; it leaves the arrow keys to the form."""


class ConfigForm(FormDialog[TrainingConfig]):
    """One `ConfigField` per field of `TrainingConfig`; answers with a valid configuration or none."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "save", _("Save"), priority=True, id="form.save"),
        Binding("down", "app.focus_next", _("Next field"), show=False, id="form.next"),
        Binding("up", "app.focus_previous", _("Previous field"), show=False, id="form.previous"),
    ]

    VERTICAL_BREAKPOINTS = PlaceScreen.VERTICAL_BREAKPOINTS

    def __init__(self, config: TrainingConfig, project: Project) -> None:
        super().__init__()
        self._config = config
        self._models = tuple(project.models())

    def compose(self) -> ComposeResult:
        """Draw the fields in their order, then the buttons."""
        with Vertical(classes="dialog form") as box:
            box.border_title = Content(_("Every value of the run"))
            box.border_subtitle = Content(_("^s saves, Esc leaves"))
            with Fields(can_focus=False):
                for name in TrainingConfig.model_fields:
                    yield ConfigField(name, getattr(self._config, name), self._models)
            with Horizontal(classes="buttons"):
                yield Button(_("Save"), id="save", compact=True)
                yield Button(_("Leave"), id="leave", compact=True)

    @on(Input.Changed)
    @on(Select.Changed)
    def _check_field(self, event: Input.Changed | Select.Changed) -> None:
        field = next(node for node in event.control.ancestors if isinstance(node, ConfigField))
        field.show_problem(self._problem({field.field: field.value}))

    @on(Input.Submitted)
    def _next_field(self) -> None:
        self.focus_next()

    def _problem(self, values: dict[str, Any]) -> UserError | None:
        try:
            self._config.updated(values)
        except UserError as error:
            return error
        return None

    @property
    def _values(self) -> dict[str, Any]:
        """What the fields hold, not yet checked."""
        return {field.field: field.value for field in self.query(ConfigField)}

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
        for field in self.query(ConfigField):
            if problem := self._problem({field.field: field.value}):
                field.show_problem(problem)
                field.editor.focus()
                return
        self.dismiss(FormResult(self._config.updated(self._values), then))

    @on(Button.Pressed, "#leave")
    def _leave(self) -> None:
        self.action_leave("")
