"""What a run would be, and who would train it, for as long as there is none."""

from typing import cast

from engine.estimate import planned_steps
from engine.i18n import _
from tui.app.screens.profile.config_summary import summary
from tui.app.state import AppState

from textual.widgets import Static


class Plan(Static):
    """A row for each thing that matters; follows the app's state."""

    def on_mount(self) -> None:
        """Follow what is selected."""
        for name in ("config", "data", "machines"):
            self.watch(self.app, name, self._draw, init=name == "config")

    def _draw(self) -> None:
        app = cast(AppState, self.app)
        steps = planned_steps(app.config, app.data.train.examples) if app.data else None
        table = summary(app.config, app.data, steps)
        text = _("{machines}; m chooses others").format(machines=app.machines.words)
        table.add_row(_("machines"), "", text)
        self.update(table)
