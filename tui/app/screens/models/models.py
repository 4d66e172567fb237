"""The models that are here and that are offered: one is chosen and comes into `models/`."""

from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, ClassVar

from engine.errors import UserError
from engine.i18n import _
from engine.sanitize import one_line
from engine.units import size
from tui.app.jobs import models as models_job
from tui.app.jobs.models import GetMoved, GetOver, ModelsFound
from tui.app.screens.models.model_list import ModelList, ModelRow, rows_of
from tui.app.screens.shared.header import model_name
from tui.app.screens.shared.news_line import NewsLine
from tui.app.screens.shared.work_dialog import WorkDialog
from tui.shell import complete

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static

if TYPE_CHECKING:
    from engine.hardware.report import HardwareReport
    from engine.model_store.get import Brought


class ModelsDialog(WorkDialog["Brought | None"]):
    """Answers with the model that was brought in, or with None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", _("Close"), id="models.close"),
    ]

    WHEN_LEFT = _("The model is not here yet; what is downloaded of it stays.")

    def __init__(self, report: "HardwareReport") -> None:
        """Prepare the dialog.

        Args:
            report: of this machine, into whose memory a model has to fit.
        """
        super().__init__()
        self._report = report
        self._rows: list[ModelRow] = []
        self._ended = False
        """Whether something was ended on request, which is told with the next list."""
        self._news_of: int | None = None
        """The row that the news are about."""

    def compose(self) -> ComposeResult:
        """Draw the list, a sentence on the highlighted row and one line of news."""
        with Vertical(classes="dialog models") as box:
            box.border_title = Content(_("Base models"))
            box.border_subtitle = Content(_("Enter brings it into models/, Esc ends it or closes"))
            yield Static(_("size and advised profile"), id="models-head", markup=False)
            yield ModelList(id="models-list")
            yield Static(id="models-detail", markup=False)
            yield NewsLine(id="models-news")

    def on_mount(self) -> None:
        """Look for models."""
        self.query_one(ModelList).focus()
        self._say(_("Looking for models on this machine …"))
        self._find()

    @work(thread=True, exit_on_error=False)
    def _find(self) -> None:
        models_job.find_models(self._mqlora.project, self._report, self.post_message)

    def on_models_found(self, message: ModelsFound) -> None:
        """Show what there is to choose from."""
        self._rows = rows_of(message.found, message.begun, self._report)
        self.query_one(ModelList).show(self._rows, self._selected)
        ended = _("Ended. What is downloaded stays, and Enter goes on with it.")
        self._say(ended if self._ended else "")
        self._ended = False

    @property
    def _selected(self) -> Path | None:
        """Folder of the model that is trained."""
        models = self._mqlora.project.models()
        return models.get(model_name(self._mqlora.project, self._mqlora.config))

    @on(OptionList.OptionHighlighted)
    def _show_detail(self, event: OptionList.OptionHighlighted) -> None:
        row = self._rows[event.option_index]
        self.query_one("#models-detail", Static).update(complete(one_line(row.detail, 400)))
        if not self._cancel and event.option_index != self._news_of:
            self._say("")

    @on(OptionList.OptionSelected)
    def _get_chosen(self, event: OptionList.OptionSelected) -> None:
        row = self._rows[event.option_index]
        if self._cancel:
            return
        if row.wanted is None:
            self._say(_("There is nothing to bring in of this one."))
            return
        converts = isinstance(row.wanted, Path) and not row.is_linked
        if converts and not self._mqlora.engine.idle.is_set():
            self._refuse(
                UserError(_("A run, or a chat, is using MLX"), _("convert the file when that is over"))
            )
            return
        self._cancel = Event()
        self._say(_("Starting …"))
        if converts:  # with MLX, whose streams belong to the engine's thread
            self._mqlora.engine.submit_leavable(self._get, row, self._cancel)
        else:
            self._get_in_thread(row, self._cancel)

    @work(thread=True, exit_on_error=False)
    def _get_in_thread(self, row: ModelRow, cancel: Event) -> None:
        self._get(row, cancel)

    def _get(self, row: ModelRow, cancel: Event) -> None:
        assert row.wanted is not None
        models_job.get_model(
            self._mqlora.project, row.wanted, row.name, row.is_linked, cancel, self.post_message
        )

    def on_get_moved(self, message: GetMoved) -> None:
        """Say how far it is."""
        if self._is_working:
            text = _("{stage}: {done} of {total}") if message.total else _("{stage} …")
            said = text.format(stage=message.stage, done=size(message.done), total=size(message.total))
            self._say(_("{text}; Esc ends it.").format(text=said))

    def on_get_over(self, message: GetOver) -> None:
        """Close with the model, or say why there is none."""
        self._cancel = None
        if message.brought:
            self._close(message.brought)
        elif message.error:
            self._refuse(message.error)
        else:
            self._ended = True
            self._find()

    def _close(self, brought: "Brought | None") -> None:
        self.dismiss(brought)

    def _say(self, text: str) -> None:
        self._news_of = self.query_one(ModelList).highlighted
        super()._say(text)

    def _refuse(self, error: UserError) -> None:
        self._news_of = self.query_one(ModelList).highlighted
        super()._refuse(error)
