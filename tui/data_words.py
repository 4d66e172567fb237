"""Words for the data check that the screen and the command line share."""

from engine.dataset.report import Stage
from engine.i18n import _
from engine.text import one_line


def progress_words(stage: Stage, file: str, lines: int) -> str:
    """Say how far the check is.

    Args:
        stage: what will be known next.
        file: that is read for it.
        lines: read so far.
    """
    words: dict[Stage, str] = {
        "read": _("Reading {file}, line {lines} …"),
        "compared": _("Looking for twins in {file}, line {lines} …"),
        "counted": _("Counting the tokens of {file}, line {lines} …"),
    }
    return words[stage].format(file=one_line(file, 40), lines=f"{lines:,}")
