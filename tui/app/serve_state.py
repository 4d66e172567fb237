"""What the app knows about the server of the trained model."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from engine.i18n import _
from engine.project import Project
from tui.app.mend_state import MendState
from tui.app.screens.shared.note_line import Busy

from textual.reactive import reactive

if TYPE_CHECKING:
    from engine.serve.server import Ready
    from tui.app.jobs.serve import ServeJob, ServerEnded, ServerTold  # not at start-up, as below


@dataclass(frozen=True)
class ServerView:
    """The server as the report shows it."""

    stage: str
    """What it is at before it is ready, in words."""
    ready: "Ready | None" = None
    answered: int = 0
    """Requests so far."""


class ServeState(MendState):
    """The server, as a reactive that the report watches."""

    server: reactive[ServerView | None] = reactive(None, init=False)
    """None while there is no server."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._serve_job: ServeJob | None = None

    def serve_or_stop(self, is_training: Callable[[], bool]) -> None:
        """Start the server, or end the one that there is.

        Args:
            is_training: whether a run has the memory.
        """
        from tui.app.jobs.serve import ServeJob

        if self.server:
            self.stop_serving()
        elif is_training():
            wait = _("serve the model when the run is paused or over")
            self.show_error(Busy(_("Training is running and takes the memory"), wait, is_training))
        else:
            self.server, self.notice = ServerView(_("Starting the server …")), ""
            self._serve_job = ServeJob(self.project, self.post_message)

    def stop_serving(self) -> None:
        """End the server, if there is one; also where the app is left, or training wants the memory."""
        if self._serve_job:
            self._serve_job.stop()

    def on_server_told(self, message: "ServerTold") -> None:
        """Keep what it says."""
        from engine.serve.server import Answered, Ready, Stage

        if self.server is None:
            return
        match message.event:
            case Stage(text=text):
                self.server = replace(self.server, stage=text)
            case Ready() as ready:
                self.server = replace(self.server, ready=ready)
            case Answered():
                self.server = replace(self.server, answered=self.server.answered + 1)

    def on_server_ended(self, message: "ServerEnded") -> None:
        """Say that it is gone."""
        self.server = self._serve_job = None
        if message.error:
            self.show_error(message.error)
        else:
            self.notice = _("The server has ended; its port is free.")
