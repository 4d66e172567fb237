"""The questions of prompts.txt, answered at each validation in a bounded share of the training time.

Answers are greedy, so no random number is drawn. The model answers as it is, in its evaluation
mode: nothing is changed that a step, a checkpoint or the metrics are made of.
"""

import math
import time
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import islice
from threading import Event as StopEvent

from engine.chat import read_questions
from engine.errors import UserError
from engine.i18n import _, ngettext
from engine.model.lora import switched_off
from engine.reply import ChatSettings, ReplyChunk
from engine.sanitize import one_line
from engine.training.answers import (
    ANSWER_CHARACTERS,
    MOST_QUESTIONS,
    QUESTION_CHARACTERS,
    Answer,
    AnswersWriter,
)
from engine.training.events import Event, Notice, Phase
from engine.training.folder_handle import FolderLost
from engine.training.parts import Parts
from engine.training.progress import Progress
from engine.training.recorder import Recorder

ANSWER_TOKENS = 48
"""Of an answer, at most."""
_NO_LIMIT = 100
"""Percent of the time from which on none is counted."""


class Answering:
    """Asks a run's model what its user wants to watch, and keeps the answers."""

    def __init__(
        self, parts: Parts, progress: Progress, recorder: Recorder, stop: StopEvent, began: float
    ) -> None:
        """Drop answers of steps that are yet to come; ask nothing yet.

        Args:
            parts: what is trained.
            progress: where the run stands; read whenever questions are asked.
            recorder: of the run.
            stop: ends an answer after the token at hand.
            began: when training began, pauses left out, on the clock of `time.monotonic`.

        Raises:
            OSError: the file of the answers cannot be read or written.
        """
        self._parts = parts
        self._progress = progress
        self._recorder = recorder
        self._stop = stop
        self._began = began
        self._asked: list[str] = []
        """What is in prompts.txt, as it was read last."""
        self._questions: list[str] = []
        """Those of it that can be asked."""
        self._is_over = not parts.config.answers_percent
        self._writer = AnswersWriter(parts.project, progress.step)
        before = self._writer.before
        self._has_base = {answer.question for answer in before.kept if answer.step is None}
        self.spent_s = before.spent_s
        """Seconds that answers have taken in this run."""
        self._took = {answer.question: answer.seconds for answer in before.kept}
        """Seconds that the last answer to a question took."""
        self._expected = 0.0
        """Seconds that the first answer to a question, or one after an answer that was cut, may take."""
        self._lost = list(_lost(self._writer))

    def round(self, is_base_alone: bool = False) -> Iterator[Event]:
        """Answer the questions with the model as it is now, as many as there is time for.

        The first ones come first, each with the base model's answer before where that is missing.

        Args:
            is_base_alone: ask for no other answer than the base model's.
        """
        lost, self._lost = self._lost, []
        yield from (Notice("warning", text) for text in lost)
        if self._is_over:
            return
        try:
            yield from self._read_questions()
            yield from self._ask_all(is_base_alone)
        except FolderLost:
            raise
        except Exception as error:  # a question ends no run; of a full disk its own files will tell
            self._is_over = True
            reason = error.problem if isinstance(error, UserError) else str(error)
            text = _("The questions of prompts.txt are no longer answered: {reason}")
            yield Notice("warning", text.format(reason=one_line(reason, 200) or type(error).__name__))

    def rewind(self) -> None:
        """Drop the answers of steps that the run went back behind."""
        self.close()
        self._writer = AnswersWriter(self._parts.project, self._progress.step)

    def close(self) -> None:
        """Close the file."""
        self._writer.close()

    def _read_questions(self) -> Iterator[Event]:
        """Read the questions, and tell of them where they are others than before."""
        begin = time.monotonic()
        asked = list(dict.fromkeys(read_questions(self._parts.project)))
        if asked != self._asked:
            self._asked = asked
            self._questions = list(islice(filter(self._can_be_asked, asked), MOST_QUESTIONS))
            yield from _told(self._parts, len(self._questions), len(asked))
        self.spent_s += time.monotonic() - begin

    def _can_be_asked(self, question: str) -> bool:
        """Whether a question takes no more memory than an example does, and the template takes it."""
        if len(question) > QUESTION_CHARACTERS:
            return False
        try:
            prompt = self._parts.replier.prompt([{"role": "user", "content": question}])
        except UserError:
            return False
        return len(prompt) <= self._parts.config.max_seq_length

    def _ask_all(self, is_base_alone: bool) -> Iterator[Event]:
        wanted = [(asked, step) for asked in self._questions for step in self._due(asked, is_base_alone)]
        has_asked = False
        for done, (question, step) in enumerate(wanted):
            if self._stop.is_set() or self._time_left() <= self._took.get(question, self._expected):
                break
            yield self._recorder.phase(Phase("answering", done, len(wanted)))
            has_asked = True
            if not (answer := self._ask(question, step)):
                break
            self._parts.held.require_in_place()
            if not self._writer.write(answer):
                self._is_over = True
                name = self._writer.path.name
                yield Notice("warning", _("{file} is full: no more answers are kept").format(file=name))
                break
        if has_asked:
            yield self._recorder.phase(Phase("training"))

    def _due(self, question: str, is_base_alone: bool) -> Iterator[int | None]:
        """Yield which answers are wanted: the base model's (None), and that of this step."""
        if question not in self._has_base:
            yield None
        # A fresh adapter adds nothing before its first step: that is the base.
        if not is_base_alone and (self._progress.step or self._parts.config.init_adapter):
            yield self._progress.step

    def _time_left(self) -> float:
        """Return the seconds that answers may take now."""
        percent = self._parts.config.answers_percent
        if percent >= _NO_LIMIT:
            return math.inf
        return percent / 100 * (time.monotonic() - self._began) - self.spent_s

    def _ask(self, question: str, step: int | None) -> Answer | None:
        """Return the model's answer; None where a pause was asked for or its time was up."""
        begin, left, text, last = time.monotonic(), self._time_left(), "", ReplyChunk("", 0, 0.0)
        began = begin  # once the first token is there, which takes longer than each of the others
        for last in self._chunks(question, step, begin + left):
            text += last.text
            began = time.monotonic() if last.tokens <= 1 else began
        end = time.monotonic()
        seconds = end - begin
        self.spent_s += seconds
        if last.end is None or last.end == "stopped":
            if not self._stop.is_set():  # the next time only where there is enough for all of it
                self._took.pop(question, None)
                pace = (end - began) / (last.tokens - 1) if last.tokens > 1 else 0.0
                self._expected = seconds + pace * (ANSWER_TOKENS - last.tokens) if pace else 2 * seconds
            return None
        self._took[question] = self._expected = seconds
        if step is None:
            self._has_base.add(question)
        return Answer(
            step=step,
            question=question,
            answer=text[:ANSWER_CHARACTERS],
            end=last.end,
            tokens=last.tokens,
            seconds=round(seconds, 3),
            spent_s=round(self.spent_s, 3),
            elapsed_s=round(time.monotonic() - self._began, 3),
        )

    def _chunks(self, question: str, step: int | None, until: float) -> Iterator[ReplyChunk]:
        """Yield an answer, the base model's if there is no step, up to a pause or the time `until`."""
        model = self._parts.assembled.model
        was_training = model.training
        model.eval()
        try:
            with nullcontext() if step is not None else switched_off(model):
                yield from self._parts.replier.reply(
                    [{"role": "user", "content": question}],
                    ChatSettings(ANSWER_TOKENS),
                    stop=lambda: self._stop.is_set() or time.monotonic() >= until,
                )
        finally:
            model.train(was_training)


def _told(parts: Parts, count: int, lines: int) -> Iterator[Notice]:
    """Say what is asked, and that some of it is not."""
    percent, file = parts.config.answers_percent, parts.project.answers_file.name
    if count:
        text = ngettext(
            "The answers to {count} question of prompts.txt at each validation are kept in {file}",
            "The answers to {count} questions of prompts.txt at each validation are kept in {file}",
            count,
        ).format(count=count, file=file)
        if percent < _NO_LIMIT:
            text += _(", as many as {percent:g} % of the time allow").format(percent=percent)
        yield Notice("info", text)
    if lines > count:
        text = ngettext(
            "{count} line of prompts.txt is not asked: the first {most} that the model takes, of at most "
            "{tokens:,} tokens, are",
            "{count} lines of prompts.txt are not asked: the first {most} that the model takes, of at most "
            "{tokens:,} tokens, are",
            lines - count,
        )
        yield Notice(
            "warning",
            text.format(count=lines - count, most=MOST_QUESTIONS, tokens=parts.config.max_seq_length),
        )


def _lost(writer: AnswersWriter) -> Iterator[str]:
    """Say what was found damaged in the file of the answers, or in its place."""
    name = writer.path.name
    if writer.set_aside:
        yield _("{name} was in the way and is now in {target}").format(name=name, target=writer.set_aside)
    if count := writer.before.unreadable:
        text = ngettext(
            "{count} line of {name} is no answer and was left out",
            "{count} lines of {name} are no answers and were left out",
            count,
        )
        yield text.format(count=count, name=name)
