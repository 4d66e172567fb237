"""The slow parts of bringing in a model: called in threads, they answer with messages."""

from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from engine.errors import Cancelled, UserError
from engine.hardware.report import HardwareReport
from engine.project import Project
from tui.app.jobs.machine_and_data import Post
from tui.app.jobs.pace import Pace

from textual.message import Message

if TYPE_CHECKING:  # they import much, so not at start-up
    from engine.model_store.get import Brought, OnHub
    from engine.model_store.look import FoundModel
    from engine.model_store.unfinished import Unfinished

_TELL_S = 0.5
"""Between two words on one download."""


@dataclass
class ModelsFound(Message, bubble=False):
    """What is on this machine, and what was begun."""

    found: "list[FoundModel]"
    begun: "list[Unfinished]"


@dataclass
class GetMoved(Message, bubble=False):
    """So many bytes are there at a stage; with a total of 0 nobody knows of how many."""

    stage: str
    done: int
    total: int


@dataclass
class GetOver(Message, bubble=False):
    """A model is in `models/`; or that was refused; with neither it was ended on request."""

    brought: "Brought | None" = None
    error: UserError | None = None


def find_models(project: Project, report: HardwareReport, post: Post) -> None:
    """Look for models on this machine and post what is found."""
    from engine.model_store.inventory import find_all
    from engine.model_store.unfinished import unfinished

    post(ModelsFound(find_all(project, report), unfinished(project.models_dir)))


def get_model(
    project: Project, wanted: "OnHub | Path", name: str, is_linked: bool, cancel: Event, post: Post
) -> None:
    """Bring a model into `models/`; post how far that is and what came of it."""
    from engine.model_store.get import get_model as get

    pace = Pace(_TELL_S)

    def on_progress(stage: str, done: int, total: int) -> None:
        if pace.is_due(stage, at_once=done == total):
            post(GetMoved(stage, done, total))

    try:
        post(GetOver(get(project, wanted, name, is_linked, on_progress, cancel)))
    except UserError as error:
        post(GetOver(error=error))
    except Cancelled:
        post(GetOver())
