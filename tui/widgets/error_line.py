"""Where every refusal is shown, the same way on all screens."""

from engine.errors import UserError
from engine.i18n import _
from engine.shell import ended
from engine.text import one_line
from tui.shell import complete

from textual.content import Content
from textual.widgets import Static


class ErrorLine(Static):
    """The problem and how to fix it, above the footer; invisible while there is none."""

    def show(self, error: UserError) -> None:
        """Display `error` until `clear`."""
        parts = [Content.styled("✗ ", "bold $error"), Content(one_line(error.problem, 400)), Content(".")]
        if error.fix:
            fix = complete(ended(one_line(error.fix, 400)))
            parts += [Content("\n"), Content.styled(_("To mend it: "), "$muted"), Content(fix)]
        self.update(Content("").join(parts))
        self.display = True

    def clear(self) -> None:
        """Hide the line."""
        self.display = False
