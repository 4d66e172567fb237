"""What the data screen does to the data files: other rows, single rows, and the way back."""

from typing import TYPE_CHECKING

from engine.dataset.jsonl.lines import OTHER_FORMATS
from engine.dataset.report import Fault
from engine.i18n import _
from tui.app.screens.shared.base import PlaceScreen

if TYPE_CHECKING:
    from engine.dataset.convert.imported import Imported  # imports numpy, so not at start-up


_CHANGES = ("use_rows", "edit", "drop", "undo")
"""Actions after which the data are others."""


class MendingScreen(PlaceScreen):
    """The part of the data screen that changes the data; each change is checked again when it is made."""

    def __init__(self) -> None:
        super().__init__()
        self._shown = ("", 0)
        """File and line of the preview; no file where nothing is shown."""
        self._fault: Fault | None = None
        """The fault whose row was shown last."""

    def on_mount(self) -> None:
        """Follow what the keys depend on."""
        self.follow("new_rows", self.refresh_bindings)
        self.follow("run_state", self.refresh_bindings)

    def take_over(self, imported: "Imported", is_to_be_used: bool) -> None:
        """Use imported rows, or check the data and offer them."""
        if imported.folder != self.mqlora.project.data_dir:
            self.mqlora.new_rows = imported.folder
        if is_to_be_used:
            self.action_use_rows()
        else:
            self.action_check()

    def action_check(self) -> None:
        """Read both files again."""
        self.clear_error()
        self.mqlora.data = None
        self.mqlora.start_data_check()

    def action_use_rows(self) -> None:
        """Put the rows that were cleaned or imported last in the place of the data."""
        self.clear_error()
        if folder := self.mqlora.new_rows:
            self.mqlora.use_rows(folder)

    def action_edit(self) -> None:
        """Open the row in the user's editor."""
        self.clear_error()
        self.mqlora.edit_row(*self._shown)

    def action_drop(self) -> None:
        """Take the row of the selected fault out of the data."""
        self.clear_error()
        self.mqlora.drop_row(*self._shown)

    def action_undo(self) -> None:
        """Take the last change of the data back."""
        self.clear_error()
        self.mqlora.undo_change()

    def why_not(self, action: str) -> str:
        """Say what there is not to be changed, or what keeps the rows as they are."""
        if action in _CHANGES and self.mqlora.run_state.is_training:
            return _("Training is running on the data; change the rows when the run is paused or over.")
        return super().why_not(action)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer a change where there is something to be changed, and neither a run nor this app is at it."""
        if action not in _CHANGES:
            return super().check_action(action, parameters)
        if self.mqlora.run_state.is_training or self.mqlora.writing:
            return False
        return {
            "use_rows": lambda: self.mqlora.new_rows is not None,
            "edit": lambda: bool(self._shown[0]),
            "drop": lambda: self._shows_fault,
            "undo": lambda: self.mqlora.can_undo,
        }[action]()

    @property
    def _shows_fault(self) -> bool:
        """Whether the row of the selected fault is shown, and that row is what is wrong."""
        fault = self._fault
        if fault is None or fault.severity == "note" or fault.kind in OTHER_FORMATS:
            return False
        return self._shown == (fault.file, fault.line)
