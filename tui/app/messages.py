"""The messages that cross screens or threads: short, immutable, posted with `post_message`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from engine.config import TrainingConfig
from engine.dataset.report import CheckStage, DataReport
from engine.errors import UserError
from engine.hardware.report import Check, HardwareReport
from engine.profiles import Recommendation

from textual.message import Message

if TYPE_CHECKING:
    from engine.chat import ReplyEnd  # imports numpy, as below
    from engine.dataset.convert.clean import Cleaned
    from engine.dataset.inspect.preview import PreviewToken  # imports numpy, so not at start-up
    from engine.dataset.jsonl.turns import Message as Turn
    from engine.fit.price import Price


@dataclass
class CheckDone(Message, bubble=False):
    """The machine check has looked at one more thing."""

    check: Check


@dataclass
class HardwareChecked(Message, bubble=False):
    """The machine check is complete."""

    report: HardwareReport


@dataclass
class DataProgress(Message, bubble=False):
    """Reading or copying the data has come further."""

    stage: CheckStage | Literal["copied"]
    """What will be known next, or that rows are copied."""
    file: str
    lines: int


@dataclass
class DataChecked(Message, bubble=False):
    """The data check knows more, or was refused."""

    config: TrainingConfig
    """The configuration it was made with."""
    report: DataReport | None = None
    error: UserError | None = None


@dataclass
class DataCheckOver(Message, bubble=False):
    """The data check is complete, was refused, or was ended on request."""

    config: TrainingConfig


@dataclass
class OffersMade(Message, bubble=False):
    """The three profiles have a price on this machine, and the values in use if they are of none."""

    recommendation: Recommendation
    config: TrainingConfig
    """The values in use then."""
    custom: "Price | None"


@dataclass
class FitProgress(Message, bubble=False):
    """Measuring the memory of a configuration has reached another stage."""

    text: str


@dataclass
class FitDone(Message, bubble=False):
    """The measurement is over; without error and outcome it was ended on request."""

    error: UserError | None = None
    """Why it does not fit, or could not be measured."""
    outcome: str = ""
    """What was found, without a full stop."""


@dataclass
class DemoProgress(Message, bubble=False):
    """Writing the built-in model has reached another stage."""

    stage: str


@dataclass
class DemoWritten(Message, bubble=False):
    """The built-in model and the sample data are in the project, or writing them was refused."""

    error: UserError | None = None


@dataclass
class DataCleaned(Message, bubble=False):
    """A cleaned copy of the data was written; that was refused, or, without either, ended on request."""

    cleaned: "Cleaned | None" = None
    error: UserError | None = None


@dataclass
class RowRead(Message, bubble=False):
    """A row was tokenised for the preview, or was refused."""

    file: str
    line: int
    tokens: "tuple[PreviewToken, ...]" = ()
    error: UserError | None = None
    raw: str = ""
    """The line as it stands in the file, where it was refused."""

    @property
    def is_beyond(self) -> bool:
        """Whether the file has no such line."""
        return self.error is not None and not self.raw and self.line > 1


@dataclass(frozen=True)
class Question:
    """A conversation to answer, ending with the user's turn."""

    turns: "list[Turn]"
    with_base: bool
    """Also let the model answer without the adapter."""


@dataclass
class PromptRead(Message, bubble=False):
    """The model has read on in the question and what was said before it."""

    question: Question
    tuned: bool
    """Whether the adapter is at work."""
    share: float
    """Of the prompt, 0 to 1."""


@dataclass
class ReplyPiece(Message, bubble=False):
    """The model has written on; pieces come in order and none is left out."""

    question: Question
    tuned: bool
    text: str
    tokens: int
    """Tokens of this reply so far."""
    tokens_per_second: float
    end: "ReplyEnd | None"
    """Why the reply ended, in its last piece."""


@dataclass
class AdapterDoubt(Message, bubble=False):
    """The adapter that was loaded may answer badly."""

    text: str


@dataclass
class ReplyDone(Message, bubble=False):
    """The question is answered, stopped or refused."""

    question: Question
    error: UserError | None = None
