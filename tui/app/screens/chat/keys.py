"""The keys of the chat; of what Escape may end, the first that there is: reply, message, input line."""

from engine.i18n import _
from tui.app.keys import DISMISS_KEY

from textual.binding import Binding, BindingType

CHAT_KEYS: list[BindingType] = [
    Binding(
        "enter,i",
        "write",
        _("Write"),
        tooltip=_("Go to the input line"),
        key_display="Enter",
        id="chat.write",
    ),
    Binding("escape", "stop", _("Stop"), tooltip=_("Stop the reply"), id="chat.stop"),
    DISMISS_KEY,
    Binding(
        "escape",
        "leave",
        _("Leave line"),
        tooltip=_("Leave the input line, so that single keys work"),
        id="chat.leave",
    ),
    Binding(
        "ctrl+b,b", "base", _("Base beside"), tooltip=_("Also answer without the adapter"), id="chat.base"
    ),
    Binding(
        "ctrl+r,p",
        "prompts",
        _("Prompts"),
        tooltip=_("Ask every line of data/prompts.txt on its own"),
        id="chat.prompts",
    ),
    Binding("ctrl+t,t", "settings", _("Settings"), tooltip=_("Length and temperature"), id="chat.settings"),
    Binding("ctrl+n,n", "new", _("New"), tooltip=_("Begin a new conversation"), show=False, id="chat.new"),
]
