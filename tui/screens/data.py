"""3 Data: a verdict, what is wrong, and any row as the model sees it."""

from typing import ClassVar

from engine.dataset.report import Fault
from engine.i18n import _
from tui.messages import RowRead
from tui.screens.base import PlaceScreen
from tui.widgets.data_figures import counts, figures
from tui.widgets.fault_table import MOST_ROWS, FaultTable
from tui.widgets.row_preview import RowPreview
from tui.widgets.verdict import Verdict

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable, Static


class DataScreen(PlaceScreen):
    """Checks the data when it is first shown, and previews rows on request."""

    PLACE: ClassVar[str] = _("3 Data")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "n",
            "preview(1)",
            _("Next row"),
            tooltip=_("Preview the next row of the file"),
            key_display="n/b",
            id="data.next_row",
        ),
        Binding(
            "b",
            "preview(-1)",
            _("Row before"),
            show=False,
            tooltip=_("Preview the row before"),
            id="data.previous_row",
        ),
        Binding(
            "o",
            "other_file",
            _("Other file"),
            show=False,
            tooltip=_("Preview the other file, train or valid"),
            id="data.other_file",
        ),
        Binding("r", "check", _("Check again"), tooltip=_("Read both files again"), id="data.check"),
        Binding(
            "d",
            "write_demo",
            _("Write sample"),
            tooltip=_("Write the sample data and the built-in model"),
            id="data.demo",
        ),
        Binding(
            "f",
            "mend",
            _("Mend"),
            tooltip=_("Write a copy without the rows that cannot or should not be used, and a list of them"),
            id="data.mend",
        ),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._shown = ("", 0)
        """File and line of the preview."""

    def compose_body(self) -> ComposeResult:
        """Yield verdict, figures, table and preview."""
        yield Verdict()
        yield Static(id="figures")
        yield FaultTable()
        yield Static(id="fault-total", classes="muted")
        yield RowPreview(classes="panel", can_focus=False)

    def on_mount(self) -> None:
        """Follow the data check."""
        self.follow("data", self._show)
        self.follow("data_error", self._show_refusal)
        self.query_one(FaultTable).focus()

    def on_screen_resume(self) -> None:
        """Check the data if that was not done for this configuration."""
        self.mqlora.start_data_check()

    def action_check(self) -> None:
        """Read both files again."""
        self.clear_error()
        self.mqlora.data = None
        self.mqlora.start_data_check()

    def action_mend(self) -> None:
        """Write a mended copy of both files to a folder beside them."""
        self.mqlora.start_mending()

    def action_write_demo(self) -> None:
        """Write the sample data and the built-in model into the project."""
        self.mqlora.start_demo()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer the sample only where a model or a data file is missing."""
        if action == "write_demo":
            report = self.mqlora.data
            return report is not None and not (report.model and report.train.rows and report.valid.rows)
        return super().check_action(action, parameters)

    def action_go_on(self) -> None:
        """Go on to training."""
        self.app.switch_mode("train")

    @on(DataTable.RowHighlighted)
    def _preview_fault(self, event: DataTable.RowHighlighted) -> None:
        fault = self.query_one(FaultTable).fault_at(event.cursor_row)
        if fault:
            self._preview(fault.file, max(1, fault.line), fault)

    def action_preview(self, by: int) -> None:
        """Preview the row beside the shown one."""
        file, line = self._shown
        if file:
            self._preview(file, max(1, line + by))

    def action_other_file(self) -> None:
        """Preview the first row of the other file."""
        train, valid = self.mqlora.project.train_file.name, self.mqlora.project.valid_file.name
        self._preview(train if self._shown[0] == valid else valid, 1)

    def _preview(self, file: str, line: int, fault: Fault | None = None) -> None:
        preview = self.query_one(RowPreview)
        preview.show_fault(fault)
        self._shown = (file, line)
        preview.show_waiting(file, line)
        self.mqlora.read_row(self, file, line)

    def on_row_read(self, message: RowRead) -> None:
        """Draw the row unless another was asked for since."""
        if (message.file, message.line) != self._shown:
            return
        preview = self.query_one(RowPreview)
        if message.error:
            preview.show_refusal(message.file, message.line, message.error, message.raw)
        else:
            preview.show_tokens(message.file, message.line, message.tokens)

    def _show_refusal(self) -> None:
        if error := self.mqlora.data_error:
            self.show_error(error)

    def _show(self) -> None:
        report, verdict = self.mqlora.data, self.query_one(Verdict)
        self.query_one("#figures", Static).display = report is not None
        self.query_one("#fault-total", Static).display = False
        self.refresh_bindings()
        if report is None:
            verdict.show_waiting(_("Checking the data …"))
            return
        if not report.model:
            verdict.show("error", _("No base model to read the rows with."), counts(report))
        elif report.is_trainable:
            verdict.show("warning" if report.faults else "ok", _("Ready to train."), counts(report))
        else:
            verdict.show("error", _("Cannot be trained on yet."), counts(report))
        limit = self.mqlora.config.max_seq_length
        self.query_one("#figures", Static).update(figures(report.train, limit))
        self._show_faults(report.faults)

    def _show_faults(self, faults: tuple[Fault, ...]) -> None:
        self.query_one(FaultTable).show(faults)
        total = self.query_one("#fault-total", Static)
        total.display = len(faults) > MOST_ROWS
        total.update(_("The first {shown} of {total}.").format(shown=MOST_ROWS, total=f"{len(faults):,}"))
        if not faults:
            self._preview(self.mqlora.project.train_file.name, 1)
