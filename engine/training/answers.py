"""`training_answers.jsonl`: what the model answered to each question, at each validation and before training.

Whoever reads it does not trust it: lines that are none of ours are left out, and numbers, texts and
the whole file are bounded.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Literal

from engine.files import NoPlainFile, open_own, read_own, write_atomic
from engine.project import Project
from engine.sanitize import json_text
from engine.training.retention import archive

import msgspec

MOST_BYTES = 16 << 20
"""Of the file: 20 questions, each answered 2,000 times."""
MOST_QUESTIONS = 20
"""Of prompts.txt that are asked, the first ones."""
QUESTION_CHARACTERS = 1_000
"""Of a question; longer ones are not asked."""
ANSWER_CHARACTERS = 2_000
"""Of an answer, the most that is kept."""

_Seconds = Annotated[float, msgspec.Meta(ge=0, le=10**9)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=10**12)]


class Answer(msgspec.Struct, frozen=True, gc=False):
    """One line of the file; other keys are ignored."""

    step: _Count | None
    """Optimizer steps that were made before it; None: the base model's, its adapter turned off."""
    question: Annotated[str, msgspec.Meta(min_length=1, max_length=QUESTION_CHARACTERS)]
    answer: Annotated[str, msgspec.Meta(max_length=ANSWER_CHARACTERS)]
    end: Literal["complete", "length", "context"]
    """Why it ended, see `engine.reply.ReplyEnd`."""
    tokens: _Count
    seconds: _Seconds
    """That it took."""
    spent_s: _Seconds
    """That answers have taken in this run so far, also those that were not kept."""
    elapsed_s: _Seconds
    """Of training so far, pauses left out and answers included."""


@dataclass(frozen=True)
class Answers:
    """What is in the file."""

    kept: tuple[Answer, ...] = ()
    """In the order in which they were written."""
    unreadable: int = 0
    """Lines that are no answer of a run and were left out."""

    @property
    def questions(self) -> tuple[str, ...]:
        """Each question, in the order in which they were first answered."""
        return tuple(dict.fromkeys(answer.question for answer in self.kept))

    @property
    def spent_s(self) -> float:
        """Seconds that answers have taken."""
        return max((answer.spent_s for answer in self.kept), default=0.0)

    @property
    def elapsed_s(self) -> float:
        """Seconds of training up to the last of them."""
        return max((answer.elapsed_s for answer in self.kept), default=0.0)

    def through_time(self, question: str) -> tuple[Answer, ...]:
        """Return the answers to one question, the base model's first, then by step; the later one of two."""
        found = {answer.step: answer for answer in self.kept if answer.question == question}
        return tuple(found[step] for step in sorted(found, key=lambda step: -1 if step is None else step))


def read_answers(project: Project) -> Answers:
    """Read the answers of a run; none where there is no such file.

    Raises:
        NoPlainFile: what has its name is no plain file, or is far too large.
        OSError: it cannot be read.
    """
    try:
        *lines, torn = read_own(project.answers_file, MOST_BYTES).split(b"\n")
    except FileNotFoundError:
        return Answers()
    answers = [_answer(line) for line in lines]
    kept = tuple(answer for answer in answers if answer)
    return Answers(kept, len(answers) - len(kept) + bool(torn))


_DECODER = msgspec.json.Decoder(Answer)


def _answer(line: bytes) -> Answer | None:
    try:
        return _DECODER.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


class AnswersWriter:
    """Appends a line for each answer; the file is there once there is one."""

    def __init__(self, project: Project, keep_until: int) -> None:
        """Drop the answers of steps after `keep_until`, and what is no answer.

        Raises:
            OSError: the file cannot be read or written.
        """
        self.path = project.answers_file
        self.set_aside: Path | None = None
        """Where what had the file's name, and was none of ours, is now."""
        try:
            found = read_answers(project)
        except NoPlainFile:
            found, self.set_aside = Answers(), archive(project.run_dir, [self.path])
        kept = tuple(answer for answer in found.kept if answer.step is None or answer.step <= keep_until)
        self.before = Answers(kept, found.unreadable)
        """What was in the file, without what was dropped."""
        text = "".join(map(_line, kept))
        if self.before != found or found.unreadable:
            write_atomic(self.path, text)
        self._size = len(text.encode())
        self._file: IO[str] | None = None

    def write(self, answer: Answer) -> bool:
        """Append one answer; False if the file has no room for it."""
        line = _line(answer)
        size = len(line.encode())
        if self._size + size > MOST_BYTES:
            return False
        if self._file is None:
            self._file = open_own(self.path, "a", encoding="utf-8")
        self._file.write(line)
        self._file.flush()
        self._size += size
        return True

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()


def _line(answer: Answer) -> str:
    return json_text(msgspec.structs.asdict(answer)) + "\n"
