"""A text field of one line."""

from typing import Any

from engine.i18n import _, ngettext, number
from engine.sanitize import one_line
from tui.app.screens.shared.note_line import NoteAdded

from textual.events import Paste
from textual.geometry import Region
from textual.widget import Widget
from textual.widgets import Input
from textual.widgets.input import Selection


class LineInput(Input):
    """Keeps cursor or beginning in sight, and joins the lines of a pasted text with a word about it.

    What is hidden in a pasted text is shown, so that nothing is sent that was not seen.
    """

    def __init__(self, value: str | None = None, *, refusal: str = "", **options: Any) -> None:
        """Take what `Input` takes.

        Args:
            value: the text to begin with.
            refusal: what is said of a text that `restrict` or `max_length` keep out.
            options: of `Input`.
        """
        super().__init__(value, **options)
        self.cursor_blink = False  # over SSH it would cost half a kilobyte a second
        self._refusal = refusal

    def _on_paste(self, event: Paste) -> None:
        event.stop()
        event.prevent_default()
        if event.text and fits(self, event.text):
            self.replace(event.text, *self.selection)

    def on_focus(self) -> None:
        """Begin where the cursor is."""
        self._scroll_to_cursor()

    def on_blur(self) -> None:
        """Show which value it is: by its beginning."""
        self.scroll_to(0, force=True, animate=False)

    def on_resize(self) -> None:
        """Keep the cursor in sight."""
        if self.has_focus:
            self._scroll_to_cursor()

    def _watch_selection(self, selection: Selection) -> None:
        super()._watch_selection(selection)
        if not self.has_focus:  # another value was put in
            self.scroll_to(0, force=True, animate=False)

    def _scroll_to_cursor(self) -> None:
        """Scroll; Textual does not for the first text of a field."""
        cursor = Region(self._cursor_offset, 0, 1, 1)
        self.scroll_to_region(cursor, force=True, animate=False)

    def replace(self, text: str, start: int, end: int) -> None:
        """Put `text`, made visible and on one line, between two positions."""
        lines = with_line_breaks(text).split("\n")
        if len(lines) > 1:
            lines = [line.strip() for line in lines if line.strip()]
        before = self.value
        super().replace(one_line(" ".join(lines), LONGEST), start, end)
        self._scroll_to_cursor()
        if len(lines) > 1 and self.value != before:
            notice = ngettext(
                "{n} line was pasted; this field has one.",
                "{n} lines were pasted; this field has one, so they are joined.",
                len(lines),
            )
            self.post_message(NoteAdded(notice.format(n=number(len(lines)))))

    def restricted(self) -> None:
        """Say why a text is kept out."""
        self.post_message(NoteAdded(self._refusal or _("This field does not take that.")))


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
    field.post_message(NoteAdded(refusal.format(n=number(len(text)), most=number(LONGEST))))
    return False


def with_line_breaks(text: str) -> str:
    """Return a text whose lines end as they do in files: terminals paste a key press for each end."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
