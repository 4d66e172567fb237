"""The keys of the history; which of them are offered depends on the run under the cursor."""

from engine.i18n import _

from textual.binding import Binding, BindingType

HISTORY_KEYS: list[BindingType] = [
    Binding(
        "space",
        "choose",
        _("Overlay"),
        key_display=_("Space"),
        tooltip=_("Draw this run beside others, or no more"),
        id="history.choose",
    ),
    Binding(
        "d",
        "differences",
        _("Differences"),
        tooltip=_("Compare settings and data of the two drawn runs"),
        id="history.differences",
    ),
    Binding("enter", "report", _("Report"), tooltip=_("Show the report of this run"), id="history.report"),
    Binding(
        "r",
        "resume",
        _("Resume"),
        tooltip=_("Go on with this run; an archived one is brought back first"),
        id="history.resume",
    ),
    Binding("c", "chat", _("Chat"), tooltip=_("Talk to the result of this run"), id="history.chat"),
    Binding(
        "w",
        "answers",
        _("Answers"),
        tooltip=_("Judge this run by its answers to data/prompts.txt, from step to step"),
        id="history.answers",
    ),
    Binding(
        "e",
        "evaluate",
        _("Evaluate"),
        tooltip=_("See whether the adapter of this run is better than its base model, beyond chance"),
        show=False,  # the footer is full
        id="history.evaluate",
    ),
    Binding(
        "x",
        "export",
        _("Export"),
        tooltip=_("Write the adapter of this run for another program"),
        id="history.export",
    ),
    Binding("n", "note", _("Note"), tooltip=_("Keep a short text with this run"), id="history.note"),
    Binding(
        "a", "archive", _("Archive"), tooltip=_("Move the present run into the archive"), id="history.archive"
    ),
    Binding("m", "rename", _("Rename"), tooltip=_("Give the archived run another name"), id="history.rename"),
    Binding(
        "D,delete",
        "delete",
        _("Delete"),
        key_display="D",
        tooltip=_("Delete the archived run, after a question"),
        id="history.delete",
    ),
]

_NO_RUN = _("There is no run that can be read here; Train begins one.")
_NO_ADAPTER = _("This run has no adapter yet.")
WHY_NOT = {
    **dict.fromkeys(("report", "choose", "note"), _NO_RUN),
    **dict.fromkeys(("chat", "evaluate", "export"), _NO_ADAPTER),
    "answers": _("No answers were kept with this run."),
    "differences": _("Space marks the runs to compare: mark two."),
    "rename": _("Only archived runs have names; a archives the present one."),
    "delete": _("Only archived runs are deleted; a archives the present one."),
    "archive": _("This run is in the archive."),
    "resume": _("That cannot be done now: this run is over, or has no checkpoint to go on from."),
}
"""Why a key does nothing where it is not offered, by its action."""


def why_not(action: str, has_run: bool, is_present: bool, is_training: bool) -> str:
    """Say why a key does nothing, in a sentence.

    Args:
        action: of the key.
        has_run: whether there is a run under the cursor.
        is_present: whether that is the one which Train shows.
        is_training: whether that one is being made.
    """
    if not has_run and action != "differences":
        return _NO_RUN
    if is_present and is_training and action in ("archive", "resume", "delete", "rename"):
        return _("Training is running; pause the run first.")
    return WHY_NOT.get(action, "")
