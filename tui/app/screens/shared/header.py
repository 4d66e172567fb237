"""The top line: project, base model and profile; the places; the state of the run in words."""

from pathlib import Path

from engine.config import TrainingConfig
from engine.project import Project
from engine.sanitize import one_line
from tui.app.screens.shared.opening import WITH_TABS
from tui.app.screens.shared.tabs import place_tabs
from tui.run.status import RunStatus
from tui.words import profile_name

from textual.content import Content
from textual.widgets import Static

_COLOURS = {
    "idle": "$muted",
    "starting": "$accent",
    "running": "$accent",
    "pausing": "$warning",
    "paused": "$warning",
    "interrupted": "$warning",
    "finished": "$success",
    "failed": "$error",
}

LONGEST_PATH = 28
"""Characters of a path that leave room for model and profile at 80 columns."""


class PlaceHeader(Static):
    """One line, full width; the left part is shortened first."""

    auto_links = False

    def __init__(self, project: Project, place: str) -> None:
        super().__init__(markup=False)
        self._project = project
        self._place = place
        self._config = TrainingConfig()
        self._status = RunStatus()

    def show(self, config: TrainingConfig, status: RunStatus) -> None:
        """Redraw for another configuration or state of the run, whose own settings come first."""
        if (config, status) != (self._config, self._status):
            self._config, self._status = config, status
            self.refresh()

    def on_resize(self) -> None:
        """Name the places on the next line where there are columns for it."""
        self.screen.set_class(self.app.size.width >= WITH_TABS, "-tabs")

    def render(self) -> Content:
        """Draw both halves to the present width."""
        status = Content.assemble(
            (f"{self._status.symbol} {self._status.words}", _COLOURS[self._status.phase])
        )
        if self.app.size.width >= WITH_TABS:
            place = Content.styled(self._place, "bold $accent")
        else:
            place = place_tabs(self._place, with_names=False)
        right = Content.assemble(place, "   ", status)
        room = max(0, self.content_size.width - right.cell_length - 2)
        left = Content(self._where()).truncate(room, ellipsis=True, pad=True)
        return Content.assemble(left.stylize("$muted"), "  ", right)

    def _where(self) -> str:
        config = self._status.config or self._config
        parts = [
            short_path(self._project.root),
            model_name(self._project, config),
            profile_name(config),
        ]
        return " · ".join(one_line(part, 40) for part in parts if part)


def short_path(path: Path) -> str:
    """Return `path` with the home folder as `~`; of a long one the last part."""
    home = Path.home()
    text = f"~/{path.relative_to(home)}" if path.is_relative_to(home) and path != home else str(path)
    return text if len(text) <= LONGEST_PATH else f"…/{path.name}"


def model_name(project: Project, config: TrainingConfig) -> str:
    """Return the name of the base model that `config` would use; empty if there is none."""
    if config.model:
        return Path(config.model).name
    return next(iter(project.models()), "")
