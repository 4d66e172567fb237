"""The choice of machines on the training screen, and what it means for a run of another process."""

from engine.i18n import _
from tui.app.screens.machines.machines import MachinesDialog
from tui.app.screens.shared.base import PlaceScreen
from tui.run.machines import Machines
from tui.run.view import RunView


class ChoosesMachines(PlaceScreen):
    """A place where machines are chosen, for the next start and for a take-over."""

    def action_machines(self) -> None:
        """Choose who trains together from the next start on."""
        dialog = MachinesDialog(self.mqlora.project, self.mqlora.machines)
        self.app.push_screen(dialog, self._take_machines)

    def _take_machines(self, machines: Machines | None) -> None:
        if machines is not None:
            self.mqlora.machines = machines
            text = _("The next runs train on: {machines}.")
            self.mqlora.show_notice(text.format(machines=machines.words))
            self.refresh_bindings()

    def moves(self, view: RunView) -> bool:
        """Whether a take-over brings the run to other processes than those that train it now."""
        chosen = self.mqlora.machines
        return not chosen.is_several or view.machines.ranks != chosen.ranks

    @property
    def take_over_words(self) -> str:
        """What is said once the other process was asked to pause."""
        if (machines := self.mqlora.machines).is_several:
            text = _("the other process is asked to pause; the run goes on with {machines} once it is saved")
            return text.format(machines=machines.words)
        return _("the other process is asked to pause; the run goes on here once it is saved")
