"""What an evaluation found: plain values that are kept as JSON and read back with distrust."""

from typing import Annotated, Literal

import msgspec

Source = Literal["test", "valid", "given"]
"""Where the rows are from: `data/test.jsonl`, `data/valid.jsonl`, or a file that was named."""
_Count = Annotated[int, msgspec.Meta(ge=0, le=10**12)]
_Number = Annotated[float, msgspec.Meta(ge=-1e300, le=1e300)]
_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Estimate(msgspec.Struct, frozen=True):
    """A figure with its 95 % interval; there is none for a single row."""

    value: _Number
    low: _Number | None
    high: _Number | None


class Change(msgspec.Struct, frozen=True):
    """What an adapter changes of the base model's loss on the same rows, each row paired with itself."""

    loss: Estimate
    """Nats per trained token; below 0 is better."""
    better: _Count
    """Rows whose own loss is lower than the base model's."""
    rows: _Count

    @property
    def opposite(self) -> "Change":
        """What is gained: above 0 is better."""
        low, high = self.loss.low, self.loss.high
        gain = Estimate(-self.loss.value, None if high is None else -high, None if low is None else -low)
        return Change(gain, self.better, self.rows)

    @property
    def is_certain(self) -> bool:
        """Whether the interval leaves no change out: chance alone hardly gives that."""
        low, high = self.loss.low, self.loss.high
        return low is not None and high is not None and (low > 0 or high < 0)


class GeneralLoss(msgspec.Struct, frozen=True):
    """The loss on our own general paragraphs, nats per token."""

    loss: _Number
    english: _Number
    portuguese: _Number
    change: Change | None
    """Against the base model, over the paragraphs; None for the base model."""


class ScoredAnswer(msgspec.Struct, frozen=True):
    """What was answered to one row, and how that compares with the row's own answer."""

    text: str
    end: Literal["complete", "length", "context"]
    """Why it ended, see `engine.reply.ReplyEnd`."""
    tokens: _Count
    exact: bool
    f1: _Share
    contains: bool
    loops: bool
    copy_of: _Count | None
    """Line of a training row whose answer it is, where the row asked for another."""


class AnswerFigures(msgspec.Struct, frozen=True):
    """The answers of one model together; shares of the answered rows, 0 to 1."""

    exact: _Share
    f1: _Share
    contains: _Share
    stopped: _Share
    """That ended by themselves."""
    length: _Number
    """Tokens of all answers by those of all references."""
    loops: _Share
    copies: _Count


class VariantResult(msgspec.Struct, frozen=True):
    """One model on the rows: the base model, or an adapter on it."""

    name: str
    """"base", "best", "last", the name of a checkpoint, or of an adapter's folder."""
    folder: str | None
    """Of the adapter; None for the base model."""
    step: _Count | None
    """After which the adapter was saved; None where that is not known."""
    loss: Estimate
    """Mean over all trained tokens, nats."""
    perplexity: Estimate
    row_losses: tuple[_Number, ...]
    """Nats per trained token of each row, in the order of `Evaluation.lines`."""
    change: Change | None
    """Against the base model; None for that."""
    general: GeneralLoss
    answers: tuple[ScoredAnswer, ...]
    """In the order of `Evaluation.asked`."""
    figures: AnswerFigures | None
    """None where nothing was asked."""


class AskedRow(msgspec.Struct, frozen=True):
    """A row that was answered."""

    row: _Count
    """Its place in `Evaluation.lines`."""
    question: str
    reference: str
    """The row's own answer."""
    tokens: _Count
    """Of the reference."""


class Evaluation(msgspec.Struct, frozen=True):
    """All that an evaluation found."""

    key: str
    """Hash of what it rests on, see `engine.evaluation.kept`."""
    made: str
    """ISO 8601."""
    seconds: _Number
    model: str
    """Name of the base model."""
    file: str
    """With the rows."""
    source: Source
    lines: tuple[_Count, ...]
    """Of the rows in their file."""
    trained_tokens: tuple[_Count, ...]
    """Of each row."""
    left_out: tuple[_Count, ...]
    """Lines that cannot be used."""
    leaked: tuple[_Count, ...]
    """Lines whose question, or nearly the whole row, is also among the training rows."""
    asked: tuple[AskedRow, ...]
    most_tokens: _Count
    """Of an answer."""
    answers: _Count
    """Rows that were to be answered; there may be fewer that can be asked."""
    variants: tuple[VariantResult, ...]
    """The base model first."""

    @property
    def tokens(self) -> int:
        """Trained tokens of all rows."""
        return sum(self.trained_tokens)


def is_sound(found: Evaluation) -> bool:
    """Whether the parts of an evaluation that was read fit together."""
    rows = len(found.lines)
    return (
        rows == len(found.trained_tokens) > 0
        and bool(found.variants)
        and all(len(each.row_losses) == rows for each in found.variants)
        and all(len(each.answers) == len(found.asked) for each in found.variants)
        and all(asked.row < rows for asked in found.asked)
        and all((each.change is None) == (index == 0) for index, each in enumerate(found.variants))
    )
