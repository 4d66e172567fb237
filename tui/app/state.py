"""What the whole app knows about the project, and the background jobs that find it out."""

import asyncio
from contextlib import suppress
from threading import Event
from typing import TYPE_CHECKING

from engine.config import TrainingConfig
from engine.errors import UserError, system_reason, write_fix
from engine.files import stamp_of
from engine.hardware.report import Check, HardwareReport
from engine.i18n import _
from engine.profiles import Recommendation, plain_profile
from engine.project import Project
from engine.training.lock import lock_owner
from engine.training.selected_config import selected_settings
from engine.worker import EngineThread
from tui.app.brief_pool import BriefPool
from tui.app.data_state import READING_KEYS
from tui.app.jobs import machine_and_data as checks
from tui.app.messages import (
    CheckDone,
    DemoProgress,
    DemoWritten,
    FitDone,
    FitProgress,
    HardwareChecked,
    OffersMade,
)
from tui.app.serve_state import ServeState
from tui.run.controller import TrainingController
from tui.run.machines import THIS_MACHINE, Machines, load_machines
from tui.run.status import RunStatus

from textual import work
from textual.reactive import reactive

if TYPE_CHECKING:
    from engine.fit.price import Price
    from tui.app.jobs.chat import ChatJob


class AppState(ServeState):
    """Shared state as reactives that screens watch; jobs run in threads and answer with messages."""

    checks: reactive[tuple[Check, ...]] = reactive((), init=False)
    """What the machine check has found so far."""
    hardware: reactive[HardwareReport | None] = reactive(None, init=False)
    """The last complete machine check."""
    machines: reactive[Machines] = reactive(THIS_MACHINE, init=False)
    """Which machines or processes the next start trains with."""
    recommendation: reactive[Recommendation | None] = reactive(None, init=False)
    """The three profiles with their price on this machine."""
    custom_price: "reactive[Price | None]" = reactive(None, init=False)
    """What the configuration in use takes, where it is none of the profiles."""
    measuring: reactive[str] = reactive("", init=False)
    """How far the measurement of a configuration's memory is, in words; empty while there is none."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self.engine = EngineThread()
        self.pool = BriefPool()
        """What the checks run on."""
        self.training = TrainingController(project, self.engine)
        self._chat: ChatJob | None = None
        """The chat that has a model in memory."""
        self.start_error: UserError | None = None
        """Why the saved configuration, or the choice of machines, could not be read."""
        self._checking_hardware = False
        self._checked_model = ""
        """Base model of the machine check under way, or the last one."""
        self._end_measuring = Event()
        self._seen: tuple[object, ...] = ()
        """What `look_elsewhere` saw of the run's files."""
        self._config_read = stamp_of(project.config_file)
        """What the file of the settings was when it was last read here."""
        self._load_config()

    def _load_config(self) -> None:
        try:
            self.set_reactive(AppState.config, selected_settings(self.project))
        except UserError as error:
            self.start_error = error
        try:
            self.set_reactive(AppState.machines, load_machines(self.project))
        except UserError as error:
            self.start_error = self.start_error or error

    def look_at_run(self) -> None:
        """Show everywhere what the run is doing now; whoever shows an event of it calls this first."""
        self._follow_config()
        self.run_state = self.training.status()

    def look_elsewhere(self) -> None:
        """Notice what other processes do to the run and the settings; without news for three looks."""
        project = self.project
        seen = (stamp_of(project.state_file), stamp_of(project.config_file), lock_owner(project))
        if seen != self._seen:
            self._seen = seen
            self.look_at_run()

    def _follow_config(self) -> None:
        """Take the settings that another process selected, or began a run with, for those selected."""
        stamp = stamp_of(self.project.config_file)
        if stamp not in (None, self._config_read):
            self._config_read = stamp
            with suppress(UserError):  # one that is damaged is told at the next start
                found, used = selected_settings(self.project), self.config
                if used.model or found.updated({"model": ""}) != used:  # a run writes the model's name out
                    self.config = found

    def hold_model(self, chat: "ChatJob") -> None:
        """Let `chat` have a model in memory, and no other one."""
        if self._chat and self._chat is not chat:
            self._chat.forget()
        self._chat = chat

    def start_demo(self) -> None:
        """Write the built-in model and the sample data into the project, unless that is under way."""
        if not self.writing:
            self.writing, self.notice = _("Writing the built-in model and the sample data"), ""
            self._write_demo()

    @work(exit_on_error=False)
    async def _write_demo(self) -> None:
        job = self.engine.submit_leavable(checks.write_demo, self.project, self.post_message)
        await asyncio.wrap_future(job)

    def choose_config(self, config: TrainingConfig) -> None:
        """Make `config` the configuration of the next run and write it to the project.

        Raises:
            UserError: the file cannot be written.
        """
        path = self.project.config_file
        try:
            config.save(path)
        except OSError as error:
            raise UserError(
                _("Cannot write {path}: {reason}").format(path=path, reason=system_reason(error)),
                write_fix(error),
            ) from None
        self.config = config

    def watch_config(self, old: TrainingConfig, new: TrainingConfig) -> None:
        """Drop what was found out for another configuration."""
        self.custom_price = None
        if any(getattr(old, key) != getattr(new, key) for key in READING_KEYS):
            self.cancel_data_check()
            self.data = None
        if old.model != new.model:
            self.start_hardware_check()
        elif old != new:
            self.make_offers()

    def start_hardware_check(self) -> None:
        """Look at the machine again, unless that is under way."""
        if not self._checking_hardware:
            self._checking_hardware = True
            self._checked_model = self.config.model
            self.checks, self.hardware = (), None
            self._check_hardware(self.config.model)

    def forget_checks(self) -> None:
        """Allow the checks to be started again after one of them failed."""
        self._checking_hardware = False
        self.forget_data_check()
        self.measuring = self.writing = ""

    @work(thread=True, exit_on_error=False)
    def _check_hardware(self, model: str) -> None:
        checks.check_hardware(self.project, model, self.post_message)

    def make_offers(self) -> None:
        """Price the profiles, once the machine is known; ends with an `OffersMade`."""
        if self.hardware is not None:
            self._make_offers(self.hardware)

    @work(thread=True, exit_on_error=False)
    def _make_offers(self, hardware: HardwareReport) -> None:
        checks.make_offers(self.project, self.config, hardware, self.data, self.post_message)

    def start_measuring(self, config: TrainingConfig) -> None:
        """Measure in the background whether `config` fits; ends with a `FitDone`.

        Raises:
            UserError: training takes memory at this moment.
        """
        if self.run_state.is_training:
            raise UserError(_("Training is running and takes memory itself"), _("measure when it is over"))
        if not self.measuring:
            self.measuring, self.notice = _("Starting …"), ""
            self._end_measuring = Event()
            self._measure(config, self._end_measuring)

    @work(thread=True, exit_on_error=False)
    def _measure(self, config: TrainingConfig, cancel: Event) -> None:
        checks.measure_fit(self.project, config, cancel, self.post_message)

    def end_measuring(self) -> None:
        """End the measurement under way; also where the app is left, or training wants the memory."""
        self._end_measuring.set()

    def on_unmount(self) -> None:
        """Leave no process and no long work behind."""
        self.end_measuring()
        self.cancel_data_check()
        self.stop_serving()

    def watch_run_state(self, run: RunStatus) -> None:
        """Give training the memory."""
        if run.is_training:
            self.end_measuring()
            self.stop_serving()

    def on_fit_progress(self, message: FitProgress) -> None:
        """Keep how far the measurement is."""
        self.measuring = message.text

    def on_fit_done(self, message: FitDone) -> None:
        """Say what was found, and price the profiles anew with it."""
        self.measuring = ""
        if message.error:
            self.show_error(message.error)
        else:
            self.notice = f"{message.outcome}." if message.outcome else _("The measurement was ended.")
        self.make_offers()

    def on_check_done(self, message: CheckDone) -> None:
        """Add one finding."""
        self.checks = (*self.checks, message.check)

    def on_hardware_checked(self, message: HardwareChecked) -> None:
        """Keep the machine check and price the profiles; check anew if the model was changed meanwhile."""
        self._checking_hardware = False
        if self._checked_model != self.config.model:
            self.start_hardware_check()
            return
        self.checks = message.report.checks
        self.hardware = message.report
        self.make_offers()

    def on_demo_progress(self, message: DemoProgress) -> None:
        """Keep how far writing the sample is."""
        self.writing = message.stage

    def on_demo_written(self, message: DemoWritten) -> None:
        """Look again at what the sample has changed, or say why there is none."""
        self.writing = ""
        if message.error:
            self.show_error(message.error)
            return
        self.look_again(_("The built-in model and the sample data are written."))

    def look_again(self, notice: str) -> None:
        """Look at the machine and the data again, after a model came that both depend on; say what is new."""
        self.notice = notice
        self.data = None
        self.start_hardware_check()
        self.start_data_check()

    def on_offers_made(self, message: OffersMade) -> None:
        """Keep the offers; take the recommended one until the user has chosen."""
        self.recommendation = message.recommendation
        if message.config == self.config:  # else other values are being priced
            self.custom_price = message.custom
        if not self.project.config_file.exists():
            self.config = plain_profile(message.recommendation.name, self.config)
