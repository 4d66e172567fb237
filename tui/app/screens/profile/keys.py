"""The keys of the profile screen."""

from engine.i18n import _

from textual.binding import Binding, BindingType

KEYS: list[BindingType] = [
    Binding(
        "enter",
        "use",
        _("Use it"),
        tooltip=_("Take the selected profile and go on to the data"),
        id="profile.use",
    ),
    Binding(
        "left",
        "move(-1)",
        _("Choose"),
        tooltip=_("Look at the profile to the left"),
        key_display="←→",
        id="profile.left",
    ),
    Binding(
        "right",
        "move(1)",
        _("Next profile"),
        tooltip=_("Look at the profile to the right"),
        show=False,
        id="profile.right",
    ),
    Binding(
        "m",
        "measure",
        _("Measure"),
        tooltip=_("Try in a process of its own how much memory the selected profile takes"),
        id="profile.measure",
    ),
    Binding("escape", "clear_error", _("End measuring, dismiss the message"), show=False, id="place.dismiss"),
    Binding("e", "customise", _("Customise"), tooltip=_("Change any value"), id="profile.customise"),
    Binding(
        "t",
        "tune",
        _("Tune"),
        tooltip=_("Find out in short runs which learning rate is best"),
        id="profile.tune",
    ),
]
