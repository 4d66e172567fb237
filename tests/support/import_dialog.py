"""The dialog that imports rows, opened, filled in and read by tests."""

from engine.dataset.convert.imported import Imported
from engine.project import Project
from tests.support.fake_engine import ready
from tui.app.app import MqloraApp
from tui.app.screens.import_table.import_table import ImportDialog

from textual.pilot import Pilot
from textual.widgets import Input


def text(app: MqloraApp) -> str:
    """Return what stands in the dialog, without frames."""
    box = app.screen.query_one(".dialog").region
    strips = app.screen._compositor.render_strips()[box.y : box.bottom]
    lines = " ".join(strip.crop(box.x + 1, box.right - 1).text for strip in strips)
    return " ".join(part for part in lines.split() if part not in "│▼")


async def opened(pilot: Pilot[int]) -> list[Imported | None]:
    """Open the dialog; return the list that will hold its answer."""
    app = await ready(pilot)
    answers: list[Imported | None] = []
    await app.push_screen(ImportDialog(), answers.append)
    await pilot.pause()
    return answers


async def name_file(pilot: Pilot[int], path: str) -> None:
    """Type a path and press Enter."""
    field = pilot.app.screen.query_one("#import-path", Input)
    field.focus()
    field.value = path
    await pilot.press("enter")


def table(project: Project, *rows: str) -> None:
    (project.root / "rows.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


async def read_rows(pilot: Pilot[int]) -> None:
    """Open the dialog with what `table` wrote."""
    await opened(pilot)
    await name_file(pilot, "rows.csv")
