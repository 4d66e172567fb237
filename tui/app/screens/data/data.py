"""3 Data: a verdict, what is wrong, and any row as the model sees it."""

from collections.abc import Iterator
from functools import partial
from typing import ClassVar

from engine.dataset.report import Fault
from engine.i18n import _
from engine.sanitize import printable
from tui.app.messages import RowRead
from tui.app.screens.data.fault_panel import FaultPanel
from tui.app.screens.data.fault_search import Overview
from tui.app.screens.data.fault_table import FaultTable
from tui.app.screens.data.figures import figures
from tui.app.screens.data.keys import DATA_KEYS, WHY_NOT
from tui.app.screens.data.mending import MendingScreen
from tui.app.screens.data.row_preview import RowPreview
from tui.app.screens.data.verdict import DataVerdict
from tui.app.screens.shared.copying import ToCopy, of_sentence
from tui.shell import file_of, fix_of
from tui.words import no_line

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.events import Resize
from textual.widgets import Static


class DataScreen(MendingScreen):
    """Checks the data when it is first shown, and previews rows on request."""

    PLACE: ClassVar[str] = _("3 Data")
    WHY_NOT = WHY_NOT
    BINDINGS: ClassVar[list[BindingType]] = DATA_KEYS
    PARTS = (FaultPanel,)

    def __init__(self) -> None:
        super().__init__()
        self._before = ("", 0)
        """File and line of the last row that was there."""
        self._counts = Overview()

    def compose_body(self) -> ComposeResult:
        """Yield verdict, figures, faults and preview."""
        yield DataVerdict()
        yield Static(id="figures")
        yield FaultPanel()
        yield RowPreview(classes="panel")

    def on_mount(self) -> None:
        """Follow the data check, and what it costs to train."""
        self.follow("data", self._show)
        self.follow("data_error", self._show_refusal)
        self.follow("data_progress", self._show_progress)
        self.follow("writing", self._show_progress)
        self.follow("recommendation", self._show_figures)
        self.query_one(FaultTable).focus()

    def on_screen_resume(self) -> None:
        """Check the data if that was not done for this configuration."""
        self.after_picture(self.mqlora.start_data_check)

    def on_resize(self, event: Resize) -> None:
        """Draw more or less of the lengths."""
        self.call_after_refresh(self._show_figures)

    def action_clean(self) -> None:
        """Write a cleaned copy of both files to a folder beside them."""
        self.clear_error()
        self.mqlora.start_cleaning()

    def action_write_demo(self) -> None:
        """Write the sample data and the built-in model into the project."""
        self.clear_error()
        self.mqlora.start_demo()

    def action_import_data(self) -> None:
        """Import data of another form, and check them."""
        from tui.app.screens.import_table.import_table import ImportDialog

        if self.mqlora.data_progress:
            self.mqlora.refuse_to_read()
            return
        self.clear_error()
        dialog = ImportDialog()
        self.app.push_screen(
            dialog, lambda done: self.take_over(done, dialog.is_to_be_used) if done else None
        )

    def action_xray(self) -> None:
        """Show the row of the preview token by token."""
        from tui.app.screens.data.xray import XrayScreen

        self.app.push_screen(XrayScreen(*self._shown))

    def action_pairs(self) -> None:
        """Show the rows that are there twice beside each other, beginning with the selected fault's."""
        from tui.app.screens.data.pairs import PairsScreen

        pairs, fault = self._counts.pairs, self.query_one(FaultTable).selected
        self.app.push_screen(PairsScreen(pairs, pairs.index(fault) if fault in pairs else 0))

    def action_clear_error(self) -> None:
        """End the check under way; without one take the last refusal away."""
        if self.mqlora.data_progress:
            self.mqlora.cancel_data_check()
        else:
            super().action_clear_error()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer what there is something for; the sample where the model or the training data is missing."""
        report = self.mqlora.data
        is_ready = report is not None and bool(report.model and report.train.rows)
        offered = {
            "check": not self.mqlora.data_progress,
            "write_demo": report is not None and not is_ready and not self.mqlora.writing,
            "xray": is_ready and bool(self._shown[0]),
            "pairs": bool(self._counts.pairs),
            "clean": bool(self._counts.total),
            "preview": bool(self._shown[0]),
            "other_file": bool(self._shown[0]),
        }
        if action == "clear_error" and self.mqlora.data_progress:
            return True
        return offered[action] if action in offered else super().check_action(action, parameters)

    def to_copy(self) -> Iterator[ToCopy]:
        """Yield also the selected fault."""
        yield from super().to_copy()
        if fault := self.query_one(FaultTable).selected:
            where = f"{file_of(fault)}:{fault.line}" if fault.line else str(file_of(fault))
            yield ToCopy(_("fault"), f"{where}: {printable(fault.message)}")
            yield from of_sentence(_("fix"), fix_of(fault, printable(fault.fix)))

    def action_go_on(self) -> None:
        """Go on to training."""
        self.app.switch_mode("train")

    @on(FaultTable.Highlighted)
    def _preview_fault(self, message: FaultTable.Highlighted) -> None:
        fault = message.fault
        if fault != self._fault:
            self._fault = fault
            if self.mqlora.data and fault in self.mqlora.data.model_faults:
                self._shown = ("", 0)  # there is no row to be read
                self.query_one(RowPreview).show_alone(fault)
                self.refresh_bindings()
            else:
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
        self.after_picture(partial(self.mqlora.read_row, self, file, line))
        self.refresh_bindings()

    def on_row_read(self, message: RowRead) -> None:
        """Draw the row unless another was asked for since."""
        if (message.file, message.line) != self._shown:
            return
        if message.is_beyond and self._before[0] and self._shown != self._before:
            self.mqlora.show_notice(no_line(*self._shown))
            self._preview(*self._before)
            return
        self._before = self._shown
        preview = self.query_one(RowPreview)
        if message.error:
            preview.show_refusal(message.file, message.line, message.error, message.raw)
        else:
            preview.show_tokens(message.file, message.line, message.tokens)

    def _show_refusal(self) -> None:
        if error := self.mqlora.data_error:
            self.show_error(error)

    def _show(self) -> None:
        """Draw what is known; verdict and list follow when the faults are counted."""
        self._show_figures()
        if report := self.mqlora.data:
            self.query_one(FaultPanel).show(report.faults, is_part=report.stage != "counted")
        else:
            self._shown = self._before = ("", 0)
            self._fault, self._counts = None, Overview()
            self.query_one(FaultPanel).clear()

    @on(FaultPanel.Counted)
    def _show_counts(self, message: FaultPanel.Counted) -> None:
        self._counts = message.counts
        self._show_progress()
        if not message.counts.total and not self._shown[0]:
            self._preview(self.mqlora.project.train_file.name, 1)

    def _show_progress(self) -> None:
        verdict = self.query_one(DataVerdict)
        if self.mqlora.writing:
            verdict.show_waiting(f"{self.mqlora.writing} …")
        else:
            verdict.show_data(self.mqlora.data, self._counts, self.mqlora.data_progress)
        self.refresh_bindings()

    def _show_figures(self) -> None:
        report, offers = self.mqlora.data, self.mqlora.recommendation
        text = self.query_one("#figures", Static)
        text.display = report is not None
        if report:
            limit = self.mqlora.config.max_seq_length
            text.update(figures(report, limit, offers.offers if offers else (), self.has_class("-tall")))
