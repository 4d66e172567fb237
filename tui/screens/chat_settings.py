"""How long and how free the replies are."""

from typing import Annotated, ClassVar

from engine.chat import ChatSettings
from engine.i18n import _
from engine.text import one_line
from engine.values import refusal
from tui.widgets.line_input import LineInput

from pydantic import BaseModel, Field, ValidationError
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static


class _Typed(BaseModel):
    """What the fields may hold."""

    max_tokens: Annotated[int, Field(ge=1, le=8192)]
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)]


class ChatSettingsScreen(ModalScreen[ChatSettings | None]):
    """Two fields; Enter takes them, Escape keeps the old ones."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", _("Keep the old"), id="chat_settings.close"),
    ]

    def __init__(self, settings: ChatSettings) -> None:
        super().__init__()
        self._settings = settings

    def compose(self) -> ComposeResult:
        """Draw one small box."""
        with Vertical(classes="dialog chat-settings") as box:
            box.border_title = Content(_("Replies"))
            with Horizontal():
                yield Label(_("longest reply, tokens"))
                yield LineInput(str(self._settings.max_tokens), id="max_tokens")
            with Horizontal():
                yield Label(_("temperature, 0 to 2"))
                yield LineInput(f"{self._settings.temperature:g}", id="temperature")
            yield Static(_("0 takes the likeliest token each time; higher is freer."), classes="muted")
            yield Static(id="chat-settings-error", markup=False)
            yield Static(
                Content.assemble(
                    ("Enter ", "bold $accent"),
                    (_("Use them"), "$muted"),
                    ("   Esc ", "bold $accent"),
                    (_("Keep the old"), "$muted"),
                ),
                classes="dialog-keys",
            )

    @on(Input.Submitted)
    def _take(self) -> None:
        values = {field.id: field.value for field in self.query(LineInput)}
        try:
            typed = _Typed.model_validate(values)
        except ValidationError as error:
            problem = refusal(error, _Typed.model_fields).problem
            self.query_one("#chat-settings-error", Static).update(f"✗ {one_line(problem, 200)}.")
            self.query_one(f"#{error.errors()[0]['loc'][0]}", LineInput).focus()
        else:
            self.dismiss(ChatSettings(typed.max_tokens, typed.temperature))
