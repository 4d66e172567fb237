"""One look at the answers of a run, and two answers compared; both in threads."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.analysis.run_folder import run_config
from engine.chat import read_questions
from engine.config import TrainingConfig
from engine.errors import UserError, system_reason
from engine.files import stamp_of
from engine.i18n import _
from engine.project import Project
from engine.training.answers import Answer, Answers, read_answers

if TYPE_CHECKING:
    from engine.dataset.inspect.word_diff import DiffPart  # imports numpy, so not at start-up

Stamp = tuple[object, ...]


@dataclass(frozen=True)
class AnswersLook:
    """What is known of the answers."""

    stamp: Stamp
    """What differs when a file was written again."""
    answers: Answers = field(default_factory=Answers)
    asked: tuple[str, ...] = ()
    """The questions of prompts.txt as it is now, each once."""
    percent: float = TrainingConfig().answers_percent
    """Of the training time that answers may take."""
    problem: UserError | None = None
    """Why the answers cannot be read."""

    @property
    def followed(self) -> int:
        """How many of them were answered."""
        return len(set(self.asked) & set(self.answers.questions))

    @property
    def has_no_time(self) -> bool:
        """Whether the time that is allowed was up after the last answer."""
        answers = self.answers
        left = self.percent / 100 * answers.elapsed_s - answers.spent_s
        return self.percent < 100 and left <= max((each.seconds for each in answers.kept), default=0.0)


@dataclass(frozen=True)
class Compared:
    """An answer beside the one before it."""

    now: "tuple[DiffPart, ...]"
    before: "tuple[DiffPart, ...]"


def look(project: Project, before: AnswersLook | None, selected: TrainingConfig) -> AnswersLook:
    """Look at the files again; the same look if there is nothing new.

    Args:
        project: whose run it is.
        before: what was seen last.
        selected: settings of the next run, which are those of a run that is yet to begin.
    """
    percent = (run_config(project) or selected).answers_percent
    stamp = (stamp_of(project.answers_file), stamp_of(project.prompts_file), percent)
    if before and stamp == before.stamp:
        return before
    try:
        answers = read_answers(project)
    except UserError as error:
        return AnswersLook(stamp, percent=percent, problem=error)
    except OSError as error:
        problem = _("Cannot read {path}: {reason}").format(
            path=project.answers_file, reason=system_reason(error)
        )
        return AnswersLook(stamp, percent=percent, problem=UserError(problem, _("make it readable")))
    return AnswersLook(stamp, answers, _questions(project), percent)


def _questions(project: Project) -> tuple[str, ...]:
    try:
        return tuple(dict.fromkeys(read_questions(project)))
    except OSError:
        return ()


def compare(now: Answer, before: Answer) -> Compared:
    """Compare two answers word by word."""
    from engine.dataset.inspect.word_diff import compared_texts

    return Compared(*compared_texts(now.answer, before.answer))
