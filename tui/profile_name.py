"""What a configuration is called in headings."""

from engine import profiles
from engine.config import TrainingConfig
from engine.i18n import _


def profile_name(config: TrainingConfig) -> str:
    """Return the profile whose values `config` has, or "Custom"."""
    return profiles.profile_name(config) or _("Custom")
