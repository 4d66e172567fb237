"""The form with a configuration's values."""

from engine.config import TrainingConfig
from tests.support.fake_engine import ready, shown, wait_for
from tui.app.screens.profile.config_field import ConfigField
from tui.app.screens.profile.config_form import ConfigForm
from tui.app.screens.profile.profile import ProfileScreen

from textual.pilot import Pilot


async def opened(pilot: Pilot[int]) -> ProfileScreen:
    """Go to the profiles."""
    app = await ready(pilot)
    await pilot.press("2")
    await wait_for(pilot, lambda: "is recommended." in shown(app))
    assert isinstance(app.screen, ProfileScreen)
    return app.screen


async def form(pilot: Pilot[int]) -> ConfigForm:
    """Open the form."""
    await opened(pilot)
    await pilot.press("e")
    await wait_for(pilot, lambda: isinstance(pilot.app.screen, ConfigForm) and pilot.app.screen.is_mounted)
    count = len(TrainingConfig.model_fields)
    await wait_for(pilot, lambda: len(pilot.app.screen.query(ConfigField)) == count)
    assert isinstance(pilot.app.screen, ConfigForm)
    return pilot.app.screen


def field(screen: ConfigForm, name: str) -> ConfigField:
    """Return one row of the form."""
    return next(field for field in screen.query(ConfigField) if field.field == name)


def note(row: ConfigField) -> str:
    """Return what stands below a field."""
    return row.note
