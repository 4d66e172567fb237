"""The seven places and the keys that work in all of them."""

from engine.i18n import _

from textual.binding import Binding, BindingType

PLACES: dict[str, str] = {
    "hardware": _("Hardware"),
    "profile": _("Profile"),
    "data": _("Data"),
    "train": _("Train"),
    "chat": _("Chat"),
    "report": _("Report"),
    "history": _("History"),
}
"""Mode name and translated name of each place, in the order of their number keys."""


def going_to(mode: str) -> str:
    """Return the action that opens a place."""
    return f"app.go_to('{mode}')"


def doing(mode: str, *binding_ids: str) -> str:
    """Return the action that goes to a place and does what a key does there, the first that can."""
    return f"app.do({', '.join(map(repr, (mode, *binding_ids)))})"


def _place_bindings() -> list[BindingType]:
    return [
        Binding(
            str(number),
            going_to(mode),
            name,
            tooltip=_("Go to {place}").format(place=name),
            show=False,
            id=f"app.{mode}",
        )
        for number, (mode, name) in enumerate(PLACES.items(), start=1)
    ]


SAMPLE_KEY = Binding(
    "S",
    "write_demo",
    _("Write sample"),
    tooltip=_("Write the built-in model and the sample data into this project"),
    id="place.sample",
)
"""The same wherever the sample helps."""
NO_SAMPLE = _("The sample is for projects without a model or without data; this one has both.")
"""Why it is not offered elsewhere."""

DISMISS_KEY = Binding("escape", "clear_error", _("Dismiss the message"), show=False, id="place.dismiss")
"""The same wherever Escape does nothing else, or that only without a message."""

APP_KEYS: list[BindingType] = [
    *_place_bindings(),
    Binding(
        "question_mark,f1",
        "help",
        _("Help"),
        tooltip=_("Show every key of this place"),
        id="app.help",
    ),
    Binding(
        "q",
        "quit",
        _("Quit"),
        tooltip=_("Leave; a run that is made here pauses, or goes on in the background: you choose"),
        id="app.quit",
    ),
    Binding(
        "ctrl+q",
        "quit",
        _("Quit"),
        tooltip=_("Leave; a run that is made here pauses, or goes on in the background: you choose"),
        show=False,
        priority=True,
        id="app.quit_always",
    ),
    Binding(
        "ctrl+p",
        "command_palette",
        _("Commands"),
        tooltip=_("Find a place, or anything that can be done in one, by its name"),
        show=False,
        priority=True,
        id="app.commands",
    ),
    Binding(
        "y",
        "copy_from_place",
        _("Copy"),
        tooltip=_("Copy a sentence, command or path of this place"),
        show=False,
        id="app.copy",
    ),
    Binding(
        "comma",
        "settings",
        _("Look and signals"),
        tooltip=_("Choose colours, terminal title, bell and notifications"),
        key_display=",",
        show=False,
        id="app.settings",
    ),
    Binding(
        "ctrl+c",
        "copy_or_pause",
        _("Copy or pause"),
        tooltip=_("Copy the selection; without one, pause training with a checkpoint, or stop a reply"),
        show=False,
        priority=True,
        id="app.copy_or_pause",
    ),
]
KEY_NAMES = {
    "enter": _("Enter"),
    "escape": _("Esc"),
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "f1": "F1",
    "space": _("Space"),
    "home": _("Home"),
    "end": _("End"),
    "tab": _("Tab"),
    "shift+tab": _("Shift+Tab"),
}
"""As they stand on the keyboard."""
