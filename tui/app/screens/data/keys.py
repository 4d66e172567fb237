"""The keys of the data screen, the most telling first: the footer shows the first that make sense."""

from engine.i18n import _
from tui.app.keys import NO_SAMPLE, SAMPLE_KEY
from tui.app.screens.data.fault_table import NEXT_KEY

from textual.binding import Binding, BindingType

DATA_KEYS: list[BindingType] = [
    NEXT_KEY,
    SAMPLE_KEY,
    Binding(
        "u",
        "use_rows",
        _("Use rows"),
        show=False,
        tooltip=_("Put the rows that were cleaned or imported last in the place of yours, which are kept"),
        id="data.use",
    ),
    Binding(
        "e",
        "edit",
        _("Edit"),
        tooltip=_("Open the row in your editor (VISUAL or EDITOR), and check the data again afterwards"),
        id="data.edit",
    ),
    Binding(
        "d",
        "drop",
        _("Drop"),
        show=False,
        tooltip=_("Take the row of the selected fault out of the data; the file as it was is kept"),
        id="data.drop",
    ),
    Binding(
        "f",
        "clean",
        _("Clean"),
        tooltip=_("Write a copy without the rows that cannot or should not be used, and a list of them"),
        id="data.clean",
    ),
    Binding(
        "p",
        "pairs",
        _("Duplicates"),
        show=False,
        tooltip=_("Show rows that are there twice, or nearly, side by side"),
        id="data.pairs",
    ),
    Binding("x", "xray", _("X-ray"), tooltip=_("Show the row token by token"), id="data.xray"),
    Binding(
        "n",
        "preview(1)",
        _("Next row"),
        tooltip=_("Preview the next row of the file"),
        key_display="n/b",
        show=False,
        id="data.next_row",
    ),
    Binding(
        "b",
        "preview(-1)",
        _("Row before"),
        show=False,
        tooltip=_("Preview the row before"),
        id="data.previous_row",
    ),
    Binding(
        "o",
        "other_file",
        _("Other file"),
        show=False,
        tooltip=_("Preview the other file, train or valid"),
        id="data.other_file",
    ),
    Binding(
        "i",
        "import_data",
        _("Import"),
        show=False,
        tooltip=_("Make rows from a table, an array or rows of another form"),
        id="data.import",
    ),
    Binding(
        "z",
        "undo",
        _("Undo"),
        show=False,
        tooltip=_("Take the last change of the data back"),
        id="data.undo",
    ),
    Binding("r", "check", _("Check again"), show=False, tooltip=_("Read both files again"), id="data.check"),
    Binding("escape", "clear_error", _("End the check, dismiss the message"), show=False, id="place.dismiss"),
]

_NO_ROW = _("There is no row to be shown.")
WHY_NOT = {
    "write_demo": NO_SAMPLE,
    "edit": _NO_ROW,
    "preview": _NO_ROW,
    "other_file": _NO_ROW,
    "drop": _("d drops the row of the selected fault; no such row is shown."),
    "undo": _("There is no change of the data to be taken back."),
    "clean": _("Nothing is wrong with the rows, so there is nothing to clean."),
    "use_rows": _("No rows were cleaned or imported since the start of the app; i imports some."),
    "pairs": _("No row is there twice, or nearly."),
    "xray": _("The X-ray needs a row and the base model's tokenizer."),
    "severity": _("There are no faults to choose from."),
    "filter": _("There are no faults to search."),
    "check": _("The data is being read."),
}
"""Why a key does nothing where it is not offered, by its action."""
