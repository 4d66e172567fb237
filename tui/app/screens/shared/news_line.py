"""One line of news in a dialog: how far its work is, what came of it, or why it was refused."""

from engine.errors import UserError
from engine.sanitize import one_line
from tui.shell import complete

from textual.content import Content
from textual.widgets import Static


class NewsLine(Static):
    """Has the class `-empty` while it says nothing."""

    def say(self, text: str) -> None:
        """Say what is being done, or what came of it; empty for nothing."""
        self.set_class(not text, "-empty")
        self.update(Content.styled(one_line(text, 400), "$muted"))

    def refuse(self, error: UserError) -> None:
        """Say what is wrong, and how to fix it."""
        self.remove_class("-empty")
        self.update(Content.assemble(("✗ ", "bold $error"), complete(one_line(str(error), 600))))
