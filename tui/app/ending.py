"""How the app ends that an exception ends, and that none shall end."""

from textual.app import App
from textual.css.query import NoMatches


class EndingApp(App[int]):
    """Ends at a defect without a traceback, and without one where it only ends."""

    @property
    def defect(self) -> Exception | None:
        """The unexpected exception that ended the app, if one did."""
        return self._exception

    def _handle_exception(self, error: Exception) -> None:
        """End, unless that is under way: a screen may then be taken down before it has found its widgets."""
        if not (self._exit and isinstance(error, NoMatches)):
            super()._handle_exception(error)

    def _fatal_error(self) -> None:
        """End without Textual's traceback: `tui.app.run` tells of the defect in one sentence."""
        self._close_messages_no_wait()
