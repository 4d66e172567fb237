"""The keys of the charts on the training screen."""

from typing import Literal

from engine.i18n import _

from textual.binding import Binding, BindingType

Command = Literal[
    "left", "right", "first", "last", "leave", "closer", "wider", "earlier", "later", "third", "hold",
    "measure", "axis", "log", "smoother", "rougher", "copy", "save",
]  # fmt: skip


def _key(key: str, command: Command, name: str, tooltip: str) -> Binding:
    return Binding(key, f"chart('{command}')", name, tooltip=tooltip, show=False, id=f"chart.{command}")


CHART_KEYS: list[BindingType] = [
    _key("z", "third", _("Zoom"), _("Chart: the last third of the run, or the whole run")),
    _key("left", "left", _("Left"), _("Chart: read the values of a step further left")),
    _key("right", "right", _("Right"), _("Chart: read the values of a step further right")),
    _key("home", "first", _("First"), _("Chart: read the first step that is shown")),
    _key("end", "last", _("Last"), _("Chart: read the last step that is shown")),
    _key("up,plus", "closer", _("Closer"), _("Chart: show half as many steps, around the cursor")),
    _key("down,minus", "wider", _("Wider"), _("Chart: show twice as many steps")),
    _key("pageup", "earlier", _("Earlier"), _("Chart: show earlier steps")),
    _key("pagedown", "later", _("Later"), _("Chart: show later steps")),
    _key("space", "hold", _("Freeze"), _("Chart: freeze what is shown, or follow the run again")),
    _key("g", "measure", _("Chart"), _("Chart: loss, gradient norm, or speed")),
    _key("x", "axis", _("Axis"), _("Chart: by step, by tokens, or by time")),
    _key("l", "log", _("Log scale"), _("Chart: logarithmic or linear scale")),
    _key("s", "smoother", _("Smoother"), _("Chart: smooth over twice as many steps")),
    _key("S", "rougher", _("Rougher"), _("Chart: smooth over half as many steps")),
    _key("c", "copy", _("Copy"), _("Chart: copy what is shown as CSV")),
    _key("p", "save", _("Save"), _("Chart: save what is shown as PNG")),
    _key("escape", "leave", _("No cursor"), _("Chart: take the cursor away")),
]
