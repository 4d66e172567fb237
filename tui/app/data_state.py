"""What the app knows about the data, and the background jobs that read and clean it."""

from threading import Event

from engine import units
from engine.config import TrainingConfig
from engine.dataset.report import DataReport
from engine.errors import UserError
from engine.i18n import _, number
from engine.project import Project
from engine.sanitize import one_line
from tui.app.input_order import InTurnApp
from tui.app.jobs import machine_and_data as checks
from tui.app.messages import DataChecked, DataCheckOver, DataCleaned, DataProgress
from tui.app.notes import NotesApp
from tui.app.screens.shared.note_line import Busy
from tui.words import progress_words

from textual import work
from textual.message_pump import MessagePump
from textual.reactive import reactive

READING_KEYS = ("model", "max_seq_length", "prompt_loss_weight", "batch_size", "gradient_accumulation")
"""Fields of the configuration that the data report depends on."""


class DataState(InTurnApp, NotesApp):
    """The data check and what comes of it, as reactives that screens watch."""

    config: reactive[TrainingConfig] = reactive(TrainingConfig, init=False)
    """The configuration that training would use."""
    data: reactive[DataReport | None] = reactive(None, init=False, always_update=True)
    """What is known about the data for the present configuration; grows while they are read.

    Always updated: to compare two reports of many faults would hold up the app.
    """
    data_error: reactive[UserError | None] = reactive(None, init=False)
    """Why the data could not be checked."""
    data_progress: reactive[str] = reactive("", init=False)
    """How far the data check or the cleaning is, in words; empty while there is none."""

    def __init__(self, project: Project) -> None:
        super().__init__()
        self.project = project
        self._end_check = Event()

    def start_data_check(self) -> None:
        """Check the data unless that is done or under way."""
        if self.data is None and not self.data_progress:
            self.data_error = None
            self.data_progress = _("Checking the data …")
            self._end_check = Event()
            self._check_data(self.config, self._end_check)

    def cancel_data_check(self) -> None:
        """End the data check under way, whose findings stay, or the cleaning, of which nothing does."""
        self._end_check.set()

    def forget_data_check(self) -> None:
        """Allow the check to be started again after it failed."""
        self.data_progress = ""

    def refuse_to_read(self) -> None:
        """Say that one thing at a time is done with the data."""
        wait = _("wait for that, or end it with Escape")
        self.show_error(Busy(_("The data is being read"), wait, lambda: bool(self.data_progress)))

    def start_cleaning(self) -> None:
        """Write a cleaned copy of the data, unless they are being read; ends with a `DataCleaned`."""
        if self.data_progress:
            self.refuse_to_read()
            return
        self.data_progress, self.notice = _("Writing a cleaned copy …"), ""
        self._end_check = Event()
        self._clean_data(self.config, self._end_check)

    @work(thread=True, exit_on_error=False, exclusive=True, group="cleaning")
    def _clean_data(self, config: TrainingConfig, cancel: Event) -> None:
        checks.clean_data(self.project, config, cancel, self.post_message)

    @work(thread=True, exit_on_error=False)
    def _check_data(self, config: TrainingConfig, cancel: Event) -> None:
        checks.check_data(self.project, config, cancel, self.post_message)

    @work(thread=True, exit_on_error=False)
    def read_row(self, asker: MessagePump, file: str, line: int) -> None:
        """Tokenise a row for the preview; `asker` gets a `RowRead`."""
        checks.read_row(self.project, self.config, file, line, asker.post_message)

    def make_offers(self) -> None:
        """Price the profiles; an app that can do so replaces this."""

    def on_data_progress(self, message: DataProgress) -> None:
        """Keep how far the check is."""
        self.data_progress = progress_words(message.stage, message.file, message.lines)

    def on_data_checked(self, message: DataChecked) -> None:
        """Keep what is known, unless the configuration changed meanwhile."""
        if self._is_of_now(message.config):
            self.data_error = message.error
            self.data = message.report

    def on_data_check_over(self, message: DataCheckOver) -> None:
        """Price the profiles with what was found, or check anew if the configuration changed meanwhile."""
        self.data_progress = ""
        if not self._is_of_now(message.config):
            self.start_data_check()
            return
        if self.data is None and self.data_error is None:
            self.data_error = UserError(_("The data check was ended"), _("press r to check them"))
        self.make_offers()

    def _is_of_now(self, config: TrainingConfig) -> bool:
        return all(getattr(config, key) == getattr(self.config, key) for key in READING_KEYS)

    def on_data_cleaned(self, message: DataCleaned) -> None:
        """Say where the copy is and what it holds, or why there is none."""
        self.data_progress = ""
        if message.cleaned is None:
            if message.error:
                self.show_error(message.error)
            return
        cleaned = message.cleaned
        text = _(
            "Cleaned copy in {folder}: {train} train, {valid} valid, {dropped} dropped; "
            "what changed is in changes.jsonl there. u puts it in the place of your files."
        )
        folder = one_line(str(cleaned.folder), 300)
        dropped = units.rows(cleaned.dropped)
        self.notice = text.format(
            folder=folder, train=number(cleaned.train), valid=number(cleaned.valid), dropped=dropped
        )
