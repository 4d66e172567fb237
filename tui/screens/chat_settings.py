"""How long and how free the replies are."""

from typing import ClassVar

from engine.chat import ChatSettings
from engine.i18n import _

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.validation import Integer, Number
from textual.widgets import Input, Label, Static


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
                yield Input(str(self._settings.max_tokens), id="max-tokens", validators=[Integer(1, 8192)])
            with Horizontal():
                yield Label(_("temperature, 0 to 2"))
                yield Input(f"{self._settings.temperature:g}", id="temperature", validators=[Number(0, 2)])
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
        tokens, temperature = self.query_one("#max-tokens", Input), self.query_one("#temperature", Input)
        for field in (tokens, temperature):
            result = field.validate(field.value)
            if result and not result.is_valid:
                self.query_one("#chat-settings-error", Static).update(
                    f"✗ {' '.join(result.failure_descriptions)}"
                )
                field.focus()
                return
        self.dismiss(ChatSettings(int(tokens.value), float(temperature.value)))
