"""What text fields of one and of several lines do alike with what is pasted."""

from engine.i18n import ngettext
from tui.app.screens.shared.note_line import NoteAdded

from textual.widget import Widget

LONGEST = 100_000
"""Characters that may be pasted at once: 30 pages; to lay out a million would hold up the app."""


def fits(field: Widget, text: str) -> bool:
    """Whether a pasted text may go into a field; says so where it is too long."""
    if len(text) <= LONGEST:
        return True
    refusal = ngettext(
        "{n} character was pasted, more than the {most} that fit here; nothing was changed.",
        "{n} characters were pasted, more than the {most} that fit here; nothing was changed.",
        len(text),
    )
    field.post_message(NoteAdded(refusal.format(n=f"{len(text):,}", most=f"{LONGEST:,}")))
    return False


def with_line_breaks(text: str) -> str:
    """Return a text whose lines end as they do in files: terminals paste a key press for each end."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
