"""The export of a trained adapter: on the engine's thread, it answers with messages."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from engine.errors import Cancelled, UserError
from engine.export.targets import ExportRequest, OnProgress
from engine.i18n import _
from engine.project import Project
from tui.app.jobs.machine_and_data import Post
from tui.app.jobs.pace import Pace
from tui.console import logged_defect

from textual.message import Message

if TYPE_CHECKING:  # it imports MLX
    from engine.export.exporter import Exported


class Exporting(Protocol):
    """The part of `engine.export.exporter.Exporter` that exporting needs."""

    def export(self, request: ExportRequest) -> "Exported":
        """Write one form."""
        ...


@dataclass
class ExportMoved(Message, bubble=False):
    """So large a share of a stage is done."""

    stage: str
    share: float
    """0 to 1."""


@dataclass
class ExportOver(Message, bubble=False):
    """The files are written; or that was refused; with neither it was ended on request."""

    done: "Exported | None" = None
    error: UserError | None = None


def export(project: Project, request: ExportRequest, is_ended: Callable[[], bool], post: Post) -> None:
    """Write one form; post how far that is and what came of it.

    Args:
        project: whose adapter is exported.
        request: the form.
        is_ended: whether it is to end; asked whenever a share of a stage is told.
        post: gets `ExportMoved` and at the end an `ExportOver`.
    """
    pace = Pace()

    def on_progress(stage: str, share: float) -> None:
        if is_ended():
            raise Cancelled
        if pace.is_due(stage):
            post(ExportMoved(stage, share))

    try:
        on_progress(_("Reading the adapter"), 0.0)
        post(ExportOver(create_exporter(project, request, on_progress).export(request)))
    except UserError as error:
        post(ExportOver(error=error))
    except Cancelled:
        post(ExportOver())
    except Exception as defect:  # the dialog tells it; the app and a run that was trained live on
        post(ExportOver(error=logged_defect(defect)))


def create_exporter(project: Project, request: ExportRequest, on_progress: OnProgress) -> Exporting:
    """Find adapter and base model; imports MLX, so only on the engine's thread.

    Raises:
        UserError: there is no such adapter or model.
    """
    from engine.export.chosen import exporter

    return exporter(project, request, on_progress)
