"""4 Train: is it learning, how long still, is anything wrong?"""

import asyncio
import os
from dataclasses import replace
from datetime import datetime
from typing import ClassVar

from engine.errors import UserError
from engine.format import OtherVersions
from engine.i18n import _
from engine.training.events import AS_BEFORE, Mode, Resumption
from tui.app.screens.answers.answers import AnswersScreen
from tui.app.screens.shared.verdict_line import VerdictLine
from tui.app.screens.train.chart_keys import Command
from tui.app.screens.train.charts import Charts
from tui.app.screens.train.keys import TRAIN_KEYS, WHY_NOT
from tui.app.screens.train.log import RunLog
from tui.app.screens.train.machines import ChoosesMachines
from tui.app.screens.train.plan import Plan
from tui.app.screens.train.progress_line import ProgressLine
from tui.app.screens.train.questions import accept_versions, take_it_over, train_anew
from tui.app.screens.train.standstill import TellsOfStandstill
from tui.app.screens.train.stats import RunStats
from tui.run.handover import take_notice
from tui.run.headline import plan, progress, sentence
from tui.run.messages import TrainingEvents, TrainingFailed
from tui.run.status import CRASHED, UNFINISHED, PhaseTracker, RunSign
from tui.run.view import RunReader, RunView
from tui.words import profile_name

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Vertical

READ_SECONDS = 1.0
"""Time between two looks at the run's files."""


class TrainScreen(TellsOfStandstill, ChoosesMachines):
    """Shows the run on disk, whoever makes it, and starts, pauses and resumes it."""

    PLACE: ClassVar[str] = _("4 Train")
    AUTO_FOCUS = ""
    WHY_NOT = WHY_NOT
    BINDINGS: ClassVar[list[BindingType]] = TRAIN_KEYS

    def __init__(self) -> None:
        super().__init__()
        self._charts = Charts(id="train-charts")
        self._tracker = PhaseTracker()
        self._how = AS_BEFORE
        """How the present run was begun."""
        self._reading = False

    def compose_body(self) -> ComposeResult:
        """Yield sentence, plot, numbers and log."""
        yield VerdictLine(id="train-sentence")
        yield Plan(id="train-plan")
        with Container(id="train-main"):
            with Vertical(id="train-curves"):
                yield self._charts
                yield ProgressLine(id="train-progress")
            yield RunStats(id="train-stats")
        yield RunLog(id="train-log")

    def on_mount(self) -> None:
        """Show what is on disk and follow whatever runs."""
        self.reader = RunReader(self.mqlora.project)
        self.mqlora.training.follow(self)
        self.watch(self.app, "run_state", self._refresh_view)
        self.watch(self.app, "machines", self._refresh_view, init=False)
        self.set_interval(READ_SECONDS, self._tick)
        if notice := take_notice(self.mqlora.project):
            self.query_one(RunLog).write_entry("!", notice)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what makes sense in the present state of the run."""
        phase = self.mqlora.run_state.phase
        if action in ("start", "resume"):
            return self._start_of(phase) == action
        if action == "resume_smaller":
            return phase in CRASHED
        if action == "take_over":
            can_ask = self._view is not None and self._view.can_be_asked and self.moves(self._view)
            return can_ask and phase == "running" and not self.mqlora.training.is_taking_over
        if action == "chart":
            return any(map(self._charts.can, parameters))
        if action == "pause":
            is_out_of_reach = self._view and self._view.other_process and not self._view.can_be_asked
            is_here = self.mqlora.training.is_running
            return phase in ("running", "pausing") and (is_here or not is_out_of_reach)
        if action == "chat":
            return phase == "finished"
        if action == "restart":
            cannot_be_read = phase == "idle" and os.path.lexists(self.mqlora.project.state_file)
            return phase == "finished" or phase in UNFINISHED or cannot_be_read
        return super().check_action(action, parameters)

    def _start_of(self, phase: str) -> str:
        """Return the action that begins a run or goes on with it; empty where neither can be done."""
        if phase in UNFINISHED:
            has_checkpoint = self._view is None or self._view.figures.summary.checkpoints
            return "resume" if has_checkpoint else "start"
        return "start" if phase == "idle" else ""

    def action_start(self) -> None:
        """Start training with the chosen configuration."""
        self._start("auto")

    def action_resume(self) -> None:
        """Go on with the run on disk."""
        self._start("auto")

    def action_resume_smaller(self) -> None:
        """Go on after a crash, or begin anew where nothing was saved, with half the micro-batch."""
        self._start("auto", Resumption(halve_micro_batch=True))

    async def action_pause(self) -> None:
        """Do what Ctrl+C does everywhere."""
        await self.app.run_action("copy_or_pause")

    def action_take_over(self) -> None:
        """Ask, then bring a run of another process here."""
        self.clear_error()

        def answer(yes: bool | None) -> None:
            if yes:
                self._take_over()

        if self._view and self._view.tuned:
            problem = _("The other process is tuning, which does not go on here")
            self.show_error(UserError(problem, _("pause it with Ctrl+C, then press t on Profile")))
        elif other := self.mqlora.training.other_process():
            self.app.push_screen(take_it_over(other, self.mqlora.machines), answer)

    @work(group="take-over", exit_on_error=False)
    async def _take_over(self) -> None:
        log = self.query_one(RunLog)
        asked = self.take_over_words
        try:
            goes_on = await self.mqlora.training.take_over(lambda: log.write_entry("·", asked))
        except UserError as error:
            self.show_error(error)
            return
        if goes_on:
            self._tracker = PhaseTracker()
        else:
            log.write_entry("·", _("the other process finished the run before it could pause"))

    def action_chat(self) -> None:
        """Go and talk to the result."""
        self.app.switch_mode("chat")

    def action_answers(self) -> None:
        """Show what the model answers, from step to step."""
        self.app.push_screen(AnswersScreen())

    def action_restart(self) -> None:
        """Ask, then archive the run and start anew."""
        config = self.mqlora.config
        settings = _("{profile}: {plan}").format(profile=profile_name(config), plan=plan(config))
        self.app.push_screen(
            train_anew(settings=settings), lambda yes: self._start("restart") if yes else None
        )

    def action_chart(self, command: Command) -> None:
        """Look at the run in another way."""
        self._charts.do(command)

    @on(Charts.Refused)
    def _show_refusal(self, message: Charts.Refused) -> None:
        self.show_error(message.error)

    def _start(self, mode: Mode, how: Resumption = AS_BEFORE) -> None:
        """Begin with the selected settings, or go on with those of the unfinished run."""
        self.clear_error()
        self._how = how
        self.note_start()
        goes_on = mode != "restart" and self.mqlora.run_state.config is not None
        try:
            self.mqlora.training.start(None if goes_on else self.mqlora.config, mode, how)
        except UserError as error:
            self.show_error(error)
        else:
            self._tracker = PhaseTracker()
            self.mqlora.look_at_run()  # so that the same key pressed twice does not start twice

    @on(TrainingEvents)
    def _take_events(self, message: TrainingEvents) -> None:
        self.mqlora.look_at_run()
        log, phase = self.query_one(RunLog), self._tracker.phase
        for event in message.events:
            self._tracker.take(event)
            log.add(event)
        if self._tracker.phase != phase:  # steps are shown with the next look at the files
            self._refresh_view()

    @on(TrainingFailed)
    def _show_failure(self, message: TrainingFailed) -> None:
        self.mqlora.look_at_run()
        if isinstance(message.error, OtherVersions):
            self._ask_for_versions(message.error)
        else:
            self.show_failed_start(message.error)
            self._refresh_view()

    @work
    async def _ask_for_versions(self, error: OtherVersions) -> None:
        if await self.answer_to(accept_versions(error)):
            self._start("resume", replace(self._how, accept_versions=True))
        else:
            self.show_error(error)

    def on_screen_resume(self) -> None:
        """Look at the files at once, and count the rows of which the plan of a first run is made."""
        self.after_picture(self._read)
        if self.mqlora.run_state.phase == "idle":
            self.after_picture(self.mqlora.start_data_check)

    def _tick(self) -> None:
        if self.is_current and self.reader.is_due():
            self._read()

    def _read(self) -> None:
        if not self._reading:
            self._reading = True
            self._read_in_thread()

    @work(group="reading", exit_on_error=False)
    async def _read_in_thread(self) -> None:
        before = self._view
        try:
            self._view = await asyncio.to_thread(self.reader.read)
        finally:
            self._reading = False
        self._charts.follow(self._view.charted)
        if self._view is not before:
            self._show_view(self._view)

    def _show_view(self, view: RunView) -> None:
        if view.state and view.other_process:
            self.query_one(RunLog).follow(view.state)
        self.refresh_bindings()
        self.mqlora.look_at_run()
        self._refresh_view()

    def _refresh_view(self) -> None:
        """Bring sentence, legend, progress and numbers up to date."""
        if self._view is None:
            return
        status, figures = self.mqlora.run_state, self._view.figures
        self.set_class(status.phase == "idle" and self._view.charted.is_empty, "-new")
        config, machines = self.mqlora.config, self.mqlora.machines
        said = sentence(status, config, self._view, self._tracker, machines)
        self._show_sentence(*self.instead(status, said))
        self._charts.show(figures.summary, status.is_training)
        phase = self._view.phase_elsewhere or self._tracker.phase
        self.query_one(ProgressLine).show(*progress(figures, phase, status, datetime.now()))
        self.query_one(RunStats).show(figures)

    def _show_sentence(self, level: RunSign | None, text: str, hint: str) -> None:
        if level:
            self.query_one(VerdictLine).show(level, text, hint)
        else:
            self.query_one(VerdictLine).show_waiting(f"{text} {hint}".rstrip())
