"""A request to pause a run, and what made it where that was not the user."""

from threading import Event

from engine.i18n import _


class PauseRequest(Event):
    """Set to pause a run with a checkpoint."""

    reason: str = ""
    """Why, in words that are kept with the run; empty where the user asked for it."""

    def set_because(self, reason: str) -> None:
        """Ask, unless that was done before."""
        if not self.is_set():
            self.reason = reason
        self.set()


def reason_of(request: Event) -> str:
    """Return the words that are kept for a run that was paused by `request`."""
    return getattr(request, "reason", "") or _("paused on request")
