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
