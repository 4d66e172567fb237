"""What a sitting has spent, in words."""

from engine.i18n import _, ngettext
from engine.training.events import Usage


def usage_words(usage: Usage) -> list[str]:
    """Return padding, number of batch shapes and time in validation, each where it is known."""
    shapes = ngettext("{n} batch shape", "{n} batch shapes", usage.shapes).format(n=usage.shapes)
    known = [
        (usage.padding, _("padding {percent:.0f} %")),
        (usage.shapes or None, shapes),
        (usage.evaluation, _("validation {percent:.0f} % of the time")),
    ]
    return [text.format(percent=100 * value) for value, text in known if value is not None]
