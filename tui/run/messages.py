"""What a run that goes on here tells the screens; posted with `post_message`."""

from dataclasses import dataclass

from engine.errors import UserError
from engine.training.events import Event

from textual.message import Message


@dataclass
class TrainingEvents(Message, bubble=False):
    """The trainer yielded these since the last message; posted from the engine's thread."""

    events: tuple[Event, ...]


@dataclass
class TrainingFailed(Message, bubble=False):
    """The run ended with a refusal or a defect."""

    error: UserError


@dataclass
class RunChanged(Message, bubble=False):
    """The run may be in another phase than before: ask the training controller."""
