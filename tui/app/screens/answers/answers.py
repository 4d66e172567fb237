"""Watching a model learn: the answers to one question, from the base model's to the newest."""

import asyncio
from typing import ClassVar

from engine.i18n import _
from engine.project import Project
from engine.sanitize import one_line
from engine.training.answers import Answer
from tui.app.screens.answers.box import AnswerBox
from tui.app.screens.answers.look import AnswersLook, Compared, compare, look
from tui.app.screens.answers.said import cost_words, followed_words, legend, why_none
from tui.app.screens.answers.timeline import Timeline, step_name
from tui.app.screens.shared.base import PlaceScreen
from tui.app.screens.shared.tabs import place_title
from tui.app.screens.shared.verdict_line import VerdictLine

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.content import Content
from textual.widgets import Static

READ_SECONDS = 1.0
"""Time between two looks at the run's files."""


class AnswersScreen(PlaceScreen):
    """The base model's answer beside that of a step; follows the newest until the user goes back."""

    PLACE: ClassVar[str] = _("Answers")
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "right",
            "go(1)",
            _("Later step"),
            key_display="←/→",
            tooltip=_("Show the answer at the step after"),
            id="answers.later",
        ),
        Binding(
            "left",
            "go(-1)",
            _("Earlier step"),
            show=False,
            tooltip=_("Show the answer at the step before"),
            id="answers.earlier",
        ),
        Binding(
            "home",
            "go_to(0)",
            _("First step"),
            show=False,
            tooltip=_("Show the first answer after the base model's"),
            id="answers.first",
        ),
        Binding(
            "end",
            "go_to(-1)",
            _("Newest step"),
            show=False,
            tooltip=_("Show the newest answer, and each that comes"),
            id="answers.newest",
        ),
        Binding(
            "n",
            "ask(1)",
            _("Next question"),
            key_display="n/b",
            tooltip=_("Show the answers to the next question"),
            id="answers.next",
        ),
        Binding(
            "b",
            "ask(-1)",
            _("Question before"),
            show=False,
            tooltip=_("Show the answers to the question before"),
            id="answers.before",
        ),
        Binding(
            "escape,w",
            "close",
            _("Back"),
            key_display="Esc",
            tooltip=_("Back to the run"),
            id="answers.close",
        ),
    ]

    def __init__(self, project: Project | None = None) -> None:
        """Prepare the view.

        Args:
            project: as the run sees it that was asked; None stands for the present run.
        """
        super().__init__()
        self._project = project
        self._look: AnswersLook | None = None
        self._question = 0
        """Index of the question that is shown."""
        self._step = -1
        """Index of the step that is shown; -1 is the newest, whichever that is."""

    @property
    def place_name(self) -> str:
        """The place that it was opened from, and what this is."""
        place = place_title(self.app.current_mode)
        return _("{place}: answers").format(place=place) if place else self.PLACE

    def compose_body(self) -> ComposeResult:
        """Yield the question, what the answers cost, the steps, and both answers."""
        yield VerdictLine(id="answers-question")
        yield Static(id="answers-cost")
        yield Timeline(id="answers-steps")
        with Container(id="answers-boxes"):
            yield AnswerBox()
            yield AnswerBox()
        yield Static(id="answers-legend")

    def on_mount(self) -> None:
        """Look now, and again and again."""
        self.query(AnswerBox).last().focus()
        self.set_interval(READ_SECONDS, self._tick)
        self._read()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Without answers there is nothing to go through."""
        if action in ("go", "go_to"):
            return len(self._steps) > 1
        if action == "ask":
            return len(self._questions) > 1
        return super().check_action(action, parameters)

    def action_go(self, by: int) -> None:
        """Show the step beside; stops at the ends."""
        newest = len(self._steps) - 1
        index = min(newest, max(0, self._chosen + by))
        self._step = -1 if index == newest else index
        self._show()

    def action_go_to(self, index: int) -> None:
        """Show the first step (0) or the newest (-1)."""
        self._step = index
        self._show()

    def action_ask(self, by: int) -> None:
        """Show the question beside at the same step; stops at the ends."""
        step = self._steps[self._chosen].step
        self._question = min(len(self._questions) - 1, max(0, self._question + by))
        if self._step >= 0:  # it may be another answer of this one, which was asked more often or less
            self._step = next((i for i, each in enumerate(self._steps) if each.step == step), -1)
        self._show()

    def action_close(self) -> None:
        """Go back to where it was opened."""
        self.dismiss(None)

    @property
    def _questions(self) -> tuple[str, ...]:
        return self._look.answers.questions if self._look else ()

    @property
    def _through_time(self) -> tuple[Answer, ...]:
        """All answers to the question, the base model's first."""
        if not self._look or not self._questions:
            return ()
        return self._look.answers.through_time(self._questions[self._question])

    @property
    def _base(self) -> Answer | None:
        return next((answer for answer in self._through_time if answer.step is None), None)

    @property
    def _steps(self) -> tuple[Answer, ...]:
        """The answers of the trained model."""
        return tuple(answer for answer in self._through_time if answer.step is not None)

    @property
    def _chosen(self) -> int:
        newest = len(self._steps) - 1
        return newest if self._step < 0 else min(self._step, newest)

    @property
    def _is_training(self) -> bool:
        return self._project is None and self.mqlora.run_state.is_training

    @property
    def _is_over(self) -> bool:
        return self._project is not None or self.mqlora.run_state.phase == "finished"

    def _tick(self) -> None:
        if self.is_current:
            self._read()

    @work(group="reading", exclusive=True, exit_on_error=False)
    async def _read(self) -> None:
        before = self._look
        self._look = await asyncio.to_thread(
            look, self._project or self.mqlora.project, before, self.mqlora.config
        )
        if self._look is not before:
            self._question = min(self._question, max(0, len(self._questions) - 1))
            self._show()

    @work(group="showing", exclusive=True, exit_on_error=False)
    async def _show(self) -> None:
        """Compare the answer with the one before it in a thread, and draw both."""
        self.refresh_bindings()
        found = self._look
        if not found:
            return
        self.set_class(not self._questions, "-empty")
        if not self._questions:
            self.query_one(VerdictLine).show_waiting(why_none(found, self._is_training, self._is_over))
            if found.problem:
                self.show_error(found.problem)
            return
        base, steps, chosen = self._base, self._steps, self._chosen
        number = _("Question {n:,} of {total:,}:").format(n=self._question + 1, total=len(self._questions))
        self.query_one(VerdictLine).show("note", number, one_line(self._questions[self._question], 300))
        said = cost_words(found) + ("" if self._project else followed_words(found))
        self.query_one("#answers-cost", Static).update(Content.styled(said, "$muted"))
        left, right = self.query(AnswerBox)
        left.show_alone(_("base model"), base, _("It has not been asked yet."))
        answer = steps[chosen] if steps else None
        before = steps[chosen - 1] if chosen > 0 else base
        title = _("step {step}").format(step=step_name(answer)) if answer else _("trained model")
        compared: Compared | None = None
        if answer and before:
            compared = await asyncio.to_thread(compare, answer, before)
            right.show_compared(title, answer, before, compared)
        else:
            right.show_alone(title, answer, _("Its first answer comes with a validation after some steps."))
        self.query_one(Timeline).show(base, steps, chosen)
        self.query_one("#answers-legend", Static).update(legend(compared, steps))
