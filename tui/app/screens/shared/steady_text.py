"""A text that costs nothing while it stays the same."""

from textual.content import Content
from textual.widgets import Static


class SteadyText(Static):
    """Drawn again only for another text; the screen is laid out again only for another number of lines."""

    def say(self, content: Content) -> None:
        """Show `content`."""
        if isinstance(self.content, Content) and self.content.is_same(content):
            return
        room = self.content_size
        lines = content.get_height(self.styles.get_rules(), room.width) if room else None
        self.update(content, layout=lines != room.height)
