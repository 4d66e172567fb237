"""2 Profile: three offers with their price, one recommended, and every value on request."""

from typing import ClassVar

from engine.config import TrainingConfig
from engine.errors import UserError
from engine.estimate import planned_steps
from engine.i18n import _
from engine.profiles import NAMES, Offer, Recommendation, plain_profile, profile_name
from engine.training.selected_config import differences
from tui.app.keys import going_to
from tui.app.screens.profile.card import ProfileCard
from tui.app.screens.profile.config_form import ConfigForm
from tui.app.screens.profile.config_summary import Meaning, explained, summary
from tui.app.screens.profile.keys import KEYS
from tui.app.screens.profile.named import NAMED_KEYS, NamedConfigs
from tui.app.screens.profile.outlook import own_values
from tui.app.screens.shared.dialog import ConfirmScreen
from tui.app.screens.shared.note_line import Busy
from tui.app.screens.shared.unsaved import FormResult
from tui.app.screens.shared.verdict_line import VerdictLine
from tui.app.screens.tuning.tuning import TuningDialog

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static

CUSTOM = len(NAMES)
"""Index of the last card."""


class ProfileScreen(NamedConfigs):
    """Cards to choose from with left and right; below them what the selected one means."""

    PLACE: ClassVar[str] = _("2 Profile")
    BINDINGS: ClassVar[list[BindingType]] = [*KEYS, *NAMED_KEYS]

    selected: reactive[int] = reactive(1, init=False)
    """Index of the selected card."""

    def __init__(self) -> None:
        super().__init__()
        self._moved = False
        """Whether the user chose the selected card; it then stays."""
        self._is_due = False
        """Whether everything is to be drawn again."""

    def compose_body(self) -> ComposeResult:
        """Yield verdict, cards and the meaning of the selected one."""
        yield VerdictLine()
        with Horizontal(id="cards"):
            for name in (*NAMES, _("Custom")):
                yield ProfileCard(name)
        with Horizontal(id="below"):
            with Meaning(id="meaning"):
                yield Static(id="meaning-text")
            with VerticalScroll(id="explained", classes="panel", can_focus=False) as panel:
                panel.border_title = Content(_("What the words mean"))
                yield Static(explained())

    def on_mount(self) -> None:
        """Follow what the offers depend on."""
        self.follow("recommendation", self._show_choice)
        self.follow("custom_price", self._draw)
        self.follow("config", self._show_choice)
        self.follow("data", self._draw)
        self.follow("run_state", self._draw)
        self.follow("measuring", self._show_measuring)

    def on_screen_resume(self) -> None:
        """Count rows and tokens in the background, of which steps and times are made."""
        self.after_picture(self.mqlora.start_data_check)

    def action_move(self, by: int) -> None:
        """Select the card beside; stops at the ends."""
        self._moved = True
        self.selected = min(CUSTOM, max(0, self.selected + by))

    def on_profile_card_clicked(self, message: ProfileCard.Clicked) -> None:
        """Select the card under the pointer."""
        self.action_move(list(self.query(ProfileCard)).index(message.card) - self.selected)

    def action_use(self) -> None:
        """Take the selected card; the custom one opens the form unless it is in use."""
        if self.selected == CUSTOM and not self._in_use(CUSTOM):
            self.action_customise()
        else:
            self.adopt(self.shown_config(), then=going_to("data"))

    def action_measure(self) -> None:
        """Measure the memory of the selected card."""
        self.clear_error()
        try:
            self.mqlora.start_measuring(self.shown_config())
        except UserError as error:
            self.show_error(error)

    def action_clear_error(self) -> None:
        """End the measurement under way; without one take the last refusal away."""
        if self.mqlora.measuring:
            self.mqlora.end_measuring()
        else:
            super().action_clear_error()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer to measure unless that is under way, and then to end it."""
        if action == "measure":
            return not self.mqlora.measuring
        if action == "clear_error" and self.mqlora.measuring:
            return True
        return super().check_action(action, parameters)

    def action_customise(self) -> None:
        """Edit every value, starting from the selected card."""
        self.app.push_screen(ConfigForm(self.shown_config(), self.mqlora.project), self._customised)

    def action_tune(self) -> None:
        """Compare the selected card with others in short runs; take what is better, if that is wanted."""
        self.app.push_screen(TuningDialog(self.shown_config()), self._tuned)

    def _tuned(self, best: TrainingConfig | None) -> None:
        if best:
            self.adopt(best, then="")

    def _customised(self, answer: FormResult[TrainingConfig] | None) -> None:
        if answer and answer.values:
            self.adopt(answer.values, answer.then)
        elif answer:
            self._go_on(answer.then)

    def adopt(self, config: TrainingConfig, then: str) -> None:
        """Save `config` unless training runs; ask first where an unfinished run has another one.

        Args:
            config: to be the one in use.
            then: the action to go on with once it is saved; empty for none.
        """
        self.clear_error()
        run = self.mqlora.run_state
        if run.is_training and config not in (self.mqlora.config, run.config):
            problem, fix = _("Training is running with other values"), _("press Ctrl+C to pause it first")
            self.show_error(Busy(problem, fix, lambda: self.mqlora.run_state.is_training))
            return
        if config == self.mqlora.config or run.config is None or not differences(run.config, config):
            self._save(config, then)
            return
        question = _(
            "The run {state} keeps its own values: Enter on the training screen goes on with those. "
            "R there archives it and begins anew with these."
        ).format(state=run.words)
        dialog = ConfirmScreen(_("Change the profile?"), question, yes=_("Change it"), no=_("Keep the run"))
        self.app.push_screen(dialog, lambda sure: self._save(config, then) if sure else None)

    def _save(self, config: TrainingConfig, then: str) -> None:
        try:
            self.mqlora.choose_config(config)
        except UserError as error:
            self.show_error(error)
            return
        self.selected, self._moved = self._card_of(config), False
        self._go_on(then)

    def _go_on(self, then: str) -> None:
        if then:
            self.mqlora.run_in_turn(then)

    def watch_selected(self) -> None:
        """Redraw for another card."""
        self._draw()

    def _show_choice(self) -> None:
        """Start at the card in use, which is the recommended one until another was chosen."""
        if not self._moved:
            self.selected = self._card_of(self.mqlora.config)
        self._draw()

    def _show_measuring(self) -> None:
        self._draw_verdict(self.mqlora.recommendation)
        self.refresh_bindings()

    def _draw(self) -> None:
        """Draw once for all that has changed: on the first visit five things do at once."""
        if not self._is_due:
            self._is_due = True
            self.call_later(self._draw_now)

    def _draw_now(self) -> None:
        self._is_due = False
        if not self.is_attached:
            return
        recommendation = self.mqlora.recommendation
        offers: dict[str, Offer] = (
            {offer.name: offer for offer in recommendation.offers} if recommendation else {}
        )
        for index, card in enumerate(self.query(ProfileCard)):
            best = recommendation is not None and card.profile == recommendation.name
            card.show(offers.get(card.profile), best, self._use(index))
            if index == CUSTOM and self._in_use(CUSTOM):
                card.show_custom(self.mqlora.custom_price, self.mqlora.config.num_epochs)
            card.selected = index == self.selected
        self._draw_verdict(recommendation)
        config = self.shown_config()
        meaning = summary(config, self.mqlora.data, self._steps(config))
        if self._in_use(CUSTOM):
            meaning.add_row(*own_values(self.mqlora.config, config))
        self.query_one("#meaning-text", Static).update(meaning)

    def _draw_verdict(self, recommendation: Recommendation | None) -> None:
        verdict = self.query_one(VerdictLine)
        if self.mqlora.measuring:
            text = _("Measuring: {stage} Esc ends it.").format(stage=self.mqlora.measuring)
            verdict.show_waiting(text)
        elif recommendation is None:
            verdict.show_waiting(_("Looking at this machine …"))
        else:
            name = _("{name} is recommended.").format(name=recommendation.name)
            verdict.show("ok", name, recommendation.reason)

    def _steps(self, config: TrainingConfig) -> int | None:
        data = self.mqlora.data
        if data is None or not data.train.examples:
            return None
        return planned_steps(config, data.train.examples)

    def shown_config(self) -> TrainingConfig:
        """Return the configuration in use, or the selected profile as it is named."""
        config = self.mqlora.config
        return config if self.selected == CUSTOM else plain_profile(NAMES[self.selected], config)

    def _use(self, index: int) -> str:
        """Return what a card is for: the run there is, or the next one; the settings of a run are its own."""
        run = self.mqlora.run_state.config
        is_next = run is not None and bool(differences(run, self.mqlora.config))
        if self._in_use(index):
            return _("next run") if is_next else _("in use")
        return _("in use") if is_next and run and index == self._card_of(run) else ""

    def _in_use(self, index: int) -> bool:
        return self.mqlora.project.config_file.exists() and index == self._card_of(self.mqlora.config)

    def _card_of(self, config: TrainingConfig) -> int:
        name = profile_name(config)
        return CUSTOM if name is None else NAMES.index(name)
