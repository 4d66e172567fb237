"""How long and how free the replies are."""

from typing import Annotated

from engine.chat import ChatSettings
from engine.i18n import _, number
from engine.sanitize import one_line
from engine.values import refusal, typed
from tui.app.screens.shared.line_input import LineInput
from tui.app.screens.shared.unsaved import FormDialog, FormResult

from pydantic import BaseModel, Field, ValidationError
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input, Label, Static


class _Typed(BaseModel):
    """What the fields may hold."""

    max_tokens: Annotated[int, Field(ge=1, le=8192, title=_("longest reply, tokens"))]
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False, title=_("temperature, 0 to 2"))]
    seed: Annotated[int, Field(ge=0, lt=1 << 32, title=_("seed of the draws"))]


class ChatSettingsScreen(FormDialog[ChatSettings]):
    """Three fields; Enter takes them, Escape leaves and asks first where they were changed."""

    def __init__(self, settings: ChatSettings) -> None:
        super().__init__()
        self._settings = settings

    def compose(self) -> ComposeResult:
        """Draw one small box."""
        with Vertical(classes="dialog chat-settings") as box:
            box.border_title = Content(_("Replies"))
            for name, field in _Typed.model_fields.items():
                with Horizontal():
                    yield Label(field.title or name)
                    yield LineInput(number(getattr(self._settings, name) or 0, ".15g"), id=name)
            yield Static(
                _("0 takes the likeliest token each time; higher is freer. Base and tuned have one seed."),
                classes="muted",
            )
            yield Static(id="chat-settings-error", markup=False)
            yield Static(
                Content.assemble(
                    ("Enter ", "bold $accent"),
                    (_("Use them"), "$muted"),
                    ("   Esc ", "bold $accent"),
                    (_("Close"), "$muted"),
                ),
                classes="dialog-keys",
            )

    @property
    def _values(self) -> dict[str, str]:
        """What the fields hold, not yet checked."""
        return {name: self.query_one(f"#{name}", LineInput).value for name in _Typed.model_fields}

    @property
    def is_changed(self) -> bool:
        """Whether the fields mean other settings, or one is wrong."""
        try:
            return _settings(self._values) != self._settings
        except ValidationError:
            return True

    @on(Input.Submitted)
    def _take(self) -> None:
        self.save("")

    def save(self, then: str) -> None:
        """Answer with the settings, or go to the first field that is wrong."""
        try:
            settings = _settings(self._values)
        except ValidationError as error:
            problem = refusal(error, _Typed.model_fields).problem
            self.query_one("#chat-settings-error", Static).update(f"✗ {one_line(problem, 200)}.")
            self.query_one(f"#{error.errors()[0]['loc'][0]}", LineInput).focus()
        else:
            self.dismiss(FormResult(settings, then))


def _settings(values: dict[str, str]) -> ChatSettings:
    """Return what was typed as settings.

    Raises:
        ValidationError: a value is none that they may have.
    """
    found = _Typed.model_validate(typed(values, _Typed.model_fields))
    return ChatSettings(found.max_tokens, found.temperature, found.seed)
