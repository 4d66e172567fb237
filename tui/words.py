"""Words that screens and the command line share."""

import unicodedata
from typing import TYPE_CHECKING, Literal

from engine import profiles
from engine.config import TrainingConfig
from engine.dataset.report import CheckStage
from engine.i18n import _, number
from engine.sanitize import one_line
from engine.units import nats

if TYPE_CHECKING:  # it imports MLX
    from engine.export.score import KeptGain


_ACCENTS = dict.fromkeys(range(0x300, 0x370))
"""Combining marks, which decomposed letters have (Unicode, Combining Diacritical Marks)."""


def searchable(text: str) -> str:
    """Return a text as it is searched in: small letters without accents, which not every keyboard has."""
    small = text.casefold()
    return small if small.isascii() else unicodedata.normalize("NFD", small).translate(_ACCENTS)


def progress_words(stage: CheckStage | Literal["copied"], file: str, lines: int) -> str:
    """Say how far the check, or the copy after it, is.

    Args:
        stage: what will be known next, or that rows are copied.
        file: that is read for it.
        lines: read so far.
    """
    words = {
        "read": _("Reading {file}, line {lines} …"),
        "compared": _("Looking for duplicates in {file}, line {lines} …"),
        "counted": _("Counting the tokens of {file}, line {lines} …"),
        "copied": _("Copying {file}, line {lines} …"),
    }
    return words[stage].format(file=one_line(file, 40), lines=number(lines))


def no_line(file: str, line: int) -> str:
    """Say that a file has no such line.

    Args:
        file: its name.
        line: that was asked for, from 1.
    """
    return _("There is no line {line} in {file}.").format(file=one_line(file, 40), line=number(line))


def profile_name(config: TrainingConfig) -> str:
    """Return the profile whose values `config` has, or "Custom"."""
    return profiles.profile_name(config) or _("Custom")


def kept_words(gain: "KeptGain") -> str:
    """Say how much of what was trained an export keeps."""
    figures = _("base {base}, as trained {adapter}, exported {export} (validation loss, by {by})").format(
        base=nats(gain.base), adapter=nats(gain.adapter), export=nats(gain.export), by=gain.by
    )
    if gain.kept is None:
        text = _("{figures}; on these rows the adapter gains too little to say what is kept of it")
        return text.format(figures=figures)
    return _("keeps {kept:.1%} of the gain: {figures}").format(kept=gain.kept, figures=figures)
