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
    Binding(
        "ctrl+t,t", "settings", _("Settings"), tooltip=_("Length, temperature and seed"), id="chat.settings"
    ),
    Binding("ctrl+n,n", "new", _("New"), tooltip=_("Begin a new conversation"), show=False, id="chat.new"),
    Binding(
        "ctrl+g,r",
        "again",
        _("Again"),
        tooltip=_("Ask the last question again, with another seed"),
        show=False,
        id="chat.again",
    ),
    Binding(
        "ctrl+o,e",
        "edit",
        _("Edit"),
        tooltip=_("Edit the last question, to ask it anew"),
        show=False,
        id="chat.edit",
    ),
    Binding(
        "ctrl+s,s",
        "right_answer",
        _("Save answer"),
        tooltip=_("Correct the last answer and save it as a row of training data"),
        show=False,
        id="chat.right_answer",
    ),
    Binding(
        "k",
        "adapters",
        _("Checkpoint"),
        tooltip=_("Choose the checkpoint to talk to"),
        show=False,
        id="chat.adapters",
    ),
    Binding(
        "m",
        "plain",
        _("Plain text"),
        tooltip=_("Show replies as they were written, or their Markdown laid out"),
        show=False,
        id="chat.plain",
    ),
    Binding("c", "copy_reply", _("Copy"), tooltip=_("Copy the last reply"), show=False, id="chat.copy"),
    Binding(
        "C",
        "copy_all",
        _("Copy all"),
        tooltip=_("Copy the whole conversation"),
        show=False,
        id="chat.copy_all",
    ),
    Binding(
        "ctrl+l,j",
        "copy_command",
        _("Copy command"),
        tooltip=_("Copy the command that joins saved answers to the training rows"),
        show=False,
        id="chat.copy_command",
    ),
]

OF_A_REPLY = ("again", "edit", "right_answer")
"""Actions that need a question with its reply."""
OF_A_CONVERSATION = ("new", "copy_reply", "copy_all", "plain")
"""Actions that need something that was said."""
_NO_REPLY = _("There is no question with a reply to do that with; send one, and wait for the reply's end.")
WHY_NOT = {
    **dict.fromkeys(OF_A_REPLY, _NO_REPLY),
    **dict.fromkeys(OF_A_CONVERSATION, _("Nothing was said yet; write a question.")),
    "base": _("There is no model to ask."),
    "copy_command": _(
        "No answer was saved yet; s saves one, and tells the command that joins it to the rows."
    ),
}
"""Why a key does nothing where it is not offered, by its action."""
