"""Where the trained model is served, below the report."""

from engine.i18n import _, ngettext
from engine.sanitize import one_line
from tui.app.serve_state import ServerView

from textual.content import Content
from textual.widgets import Static


class ServerLine(Static):
    """Address, proof and how many requests were answered; invisible while nothing is served."""

    def show(self, server: ServerView | None) -> None:
        """Draw what is known of the server."""
        self.display = server is not None
        self.update(_words(server) if server else "")


def _words(server: ServerView) -> Content:
    if not server.ready:
        return Content.styled(f"· {server.stage}", "$muted")
    count = ngettext("{n:,} request", "{n:,} requests", server.answered).format(n=server.answered)
    address = Content.assemble(
        ("✓ ", "$success"),
        f"{one_line(server.ready.model, 60)}: ",
        (server.ready.url, "$accent"),
        (f" · {count} · " + _("s ends it"), "$muted"),
    )
    return Content("\n").join([address, Content.styled(f"  {server.ready.proof}.", "$muted")])
