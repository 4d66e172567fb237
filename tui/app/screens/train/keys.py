"""The keys of the training screen; which of them are offered depends on the run."""

from engine.i18n import _
from tui.app.keys import DISMISS_KEY
from tui.app.screens.train.chart_keys import CHART_KEYS

from textual.binding import Binding, BindingType

TRAIN_KEYS: list[BindingType] = [
    Binding(
        "enter,r", "start", _("Start"), tooltip=_("Start training"), key_display="Enter", id="train.start"
    ),
    Binding(
        "enter,r",
        "resume",
        _("Resume"),
        tooltip=_("Go on from the last checkpoint"),
        key_display="Enter",
        id="train.resume",
    ),
    Binding(
        "h",
        "resume_smaller",
        _("Resume, half batch"),
        tooltip=_("Go on with half the micro-batch: the same steps in less memory"),
        id="train.resume_smaller",
    ),
    Binding("enter", "chat", _("Chat"), tooltip=_("Talk to the result"), id="train.chat"),
    Binding(
        "ctrl+c",
        "pause",
        _("Pause"),
        tooltip=_("Save a checkpoint and pause; copies if text is selected"),
        priority=True,
        id="train.pause",
    ),
    Binding(
        "t",
        "take_over",
        _("Take over"),
        tooltip=_("Let the other process pause, then go on here"),
        id="train.take_over",
    ),
    Binding(
        "m",
        "machines",
        _("Machines"),
        tooltip=_("Choose which machines or processes train together"),
        show=False,
        id="train.machines",
    ),
    *CHART_KEYS,
    DISMISS_KEY,
    Binding(
        "w",
        "answers",
        _("Answers"),
        tooltip=_("Watch the answers to data/prompts.txt change from step to step"),
        id="train.answers",
    ),
    Binding(
        "R",
        "restart",
        _("Restart"),
        tooltip=_("Archive this run and train anew"),
        key_display="R",
        id="train.restart",
    ),
]

WHY_NOT = {
    "chart": _("There is no chart before the first step."),
    "start": _("This run is finished; R begins anew."),
    "resume": _("There is no run to go on with."),
    "resume_smaller": _("Half the examples at once is for a run that has crashed."),
    "take_over": _("No run of another process can be brought here."),
    "restart": _("There is no run to begin anew; Enter begins one."),
    "pause": _("No run can be paused from here."),
}
"""Why a key does nothing where it is not offered, by its action."""
