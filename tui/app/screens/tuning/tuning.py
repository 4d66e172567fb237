"""The dialog that trains candidates beside the chosen settings and says which is best."""

import asyncio
from threading import Event
from typing import ClassVar

from engine.config import TrainingConfig
from engine.errors import UserError
from engine.i18n import _
from engine.symbols import SYMBOLS
from engine.tuning.result import TuningResult
from engine.tuning.sentences import LEVELS, held_out_words, outcome_words, price_words
from engine.units import nats
from tui.app.jobs import tune as tune_job
from tui.app.jobs.tune import TuningMoved, TuningOver, TuningPlan
from tui.app.screens.shared.button import Button
from tui.app.screens.shared.computing import busy
from tui.app.screens.shared.news_line import NewsLine
from tui.app.screens.shared.verdict_line import STYLES
from tui.app.screens.shared.work_dialog import WorkDialog
from tui.app.screens.tuning.tables import plan_table, result_table

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static


class TuningDialog(WorkDialog[TrainingConfig]):
    """Says what would be tried and what that takes; trains it; answers with better settings, if wanted."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "go_on", _("Train these runs"), id="tuning.go_on"),
        Binding("escape,q", "leave", _("Close"), id="tuning.close"),
    ]

    WHEN_LEFT = _("The tuning pauses; t on Profile goes on with it.")

    def __init__(self, chosen: TrainingConfig) -> None:
        """Prepare the dialog.

        Args:
            chosen: the settings that others are compared with.
        """
        super().__init__()
        self._chosen = chosen
        self._plan: TuningPlan | None = None
        self._result: TuningResult | None = None
        self._has_begun = False

    def compose(self) -> ComposeResult:
        """Draw the candidates, what is said of them, one line of news and the buttons."""
        with Vertical(classes="dialog tuning") as box:
            box.border_title = Content(_("Which learning rate?"))
            yield Static(id="tuning-table")
            yield Static(id="tuning-words")
            yield NewsLine(id="tuning-news")
            with Horizontal(classes="buttons"):
                yield Button(_("Train these runs"), id="tuning-start", compact=True)
                yield Button(_("Choose the best"), id="tuning-choose", compact=True)
                yield Button(_("Close"), classes="close", compact=True)

    def on_mount(self) -> None:
        """Find out what would be tried."""
        self._offer()
        self._say(_("Looking at model and data …"))
        for known in ("hardware", "data"):  # which a check may be about to find out
            self.watch(self.app, known, self._look_again)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Enter begins, later it chooses; it does neither while runs are trained."""
        if action == "go_on":
            return self._can_start or self._can_choose
        return super().check_action(action, parameters)

    @property
    def _can_start(self) -> bool:
        return self._plan is not None and self._result is None and self._cancel is None

    @property
    def _can_choose(self) -> bool:
        return self._result is not None and self._result.outcome == "better"

    def _look_again(self) -> None:
        self._look()

    @work(exclusive=True, exit_on_error=False)
    async def _look(self) -> None:
        app = self._mqlora
        if app.hardware is None or self._cancel or self._result:
            return
        plan, refusal = None, None
        try:
            plan = await asyncio.to_thread(tune_job.plan, app.project, self._chosen, app.hardware, app.data)
        except UserError as error:
            refusal = error
        if self._cancel or self._result:  # begun meanwhile, with what was known before
            return
        self._plan = plan
        if plan:
            self._show_plan(plan)
        self._say("")
        if refusal:
            self._refuse(refusal)
        self._offer()

    def _show_plan(self, plan: TuningPlan) -> None:
        self.query_one("#tuning-table", Static).update(plan_table(plan))
        words = [price_words(plan.price)]
        if plan.price.seconds is None:
            words.append(_("m on Profile measures how long a step takes."))
        if plan.prepared.goes_on:
            words.append(_("What is trained already is not trained again."))
        if plan.prepared.replaces:
            words.append(_("It takes the place of one of other settings, whose runs stay in the history."))
        self._tell(Content(" ".join(words)))

    @on(Button.Pressed, "#tuning-start")
    @on(Button.Pressed, "#tuning-choose")
    def action_go_on(self) -> None:
        """Begin to train; when that is over choose what was found."""
        if self._can_choose:
            self.dismiss(self._best)
        elif self._can_start and self._plan:
            if refusal := busy(self._mqlora):
                self._refuse(refusal)
                return
            self._cancel = stop = Event()
            self._has_begun = True
            self._offer()
            self._say(_("Starting …"))
            engine = self._mqlora.engine
            engine.submit(tune_job.tune, self._mqlora.project, self._plan, stop, self.post_message)

    @property
    def _best(self) -> TrainingConfig | None:
        plan, result = self._plan, self._result
        return plan.tuning.candidates[result.best].config(plan.chosen) if plan and result else None

    def on_tuning_moved(self, message: TuningMoved) -> None:
        """Say how far it is."""
        if not self._is_working:
            return
        words = [message.run]
        if message.total:
            words.append(_("step {step}/{total}").format(step=message.step, total=message.total))
        if message.loss is not None:
            words.append(_("loss {loss}").format(loss=nats(message.loss)))
        if message.val_loss is not None:
            words.append(_("validation {loss}").format(loss=nats(message.val_loss)))
        self._say(" · ".join(words))

    def on_tuning_over(self, message: TuningOver) -> None:
        """Say what came of it."""
        self._cancel = None
        if message.error:
            self._refuse(message.error)
        elif message.result is None:
            self._say(_("Paused; it goes on from here, also after the app was left."))
        else:
            self._show_result(message.result)
        self._offer()

    def _show_result(self, result: TuningResult) -> None:
        self._result = result
        self.query_one("#tuning-table", Static).update(result_table(result))
        level = LEVELS[result.outcome]
        verdict = Content.assemble((f"{SYMBOLS[level]} ", STYLES[level]), (outcome_words(result), "bold"))
        held_out = held_out_words(result)
        self._tell(Content("\n").join([verdict, Content(held_out)]) if held_out else verdict)
        self._say(_("Each of these runs is in the history: 7 shows, compares and exports them."))

    def _offer(self) -> None:
        """Offer what can be done now: as key, as a button with the focus, and in the frame."""
        start, choose = self.query_one("#tuning-start", Button), self.query_one("#tuning-choose")
        start.display, choose.display = self._can_start, self._can_choose
        has_begun = self._has_begun or bool(self._plan and self._plan.prepared.goes_on)
        start.label = _("Go on with these runs") if has_begun else _("Train these runs")
        if self._cancel:
            self.set_focus(None)  # Enter, pressed once too often, ends nothing
            keys = _("Esc pauses it")
        elif self._can_start:
            start.focus()
            keys = _("Enter goes on, Esc closes") if has_begun else _("Enter trains them, Esc closes")
        elif self._can_choose:
            choose.focus()
            keys = _("Enter chooses the best, Esc closes")
        else:
            self.query_one(".close").focus()
            keys = _("Esc closes")
        self.query_one(".tuning").border_subtitle = Content(keys)
        self.refresh_bindings()

    def _tell(self, words: Content) -> None:
        self.query_one("#tuning-words", Static).update(words)
