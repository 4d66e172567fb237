"""Which libraries the trackers need, and whether they are there."""

from collections.abc import Iterable
from importlib.util import find_spec

from engine.config import TrackerName
from engine.errors import UserError
from engine.i18n import _
from engine.shell import installing

TITLES: dict[TrackerName, str] = {
    "tensorboard": "TensorBoard",
    "wandb": "Weights & Biases",
    "trackio": "trackio",
}
"""What people call them."""
_MODULES: dict[TrackerName, str] = {"tensorboard": "tensorboardX", "wandb": "wandb", "trackio": "trackio"}
"""What is imported; the packages are called the same."""


def is_installed(name: TrackerName) -> bool:
    """Whether the library of a tracker is there."""
    return find_spec(_MODULES[name]) is not None


def require_installed(names: Iterable[TrackerName]) -> None:
    """Refuse a run whose trackers cannot be fed.

    Raises:
        UserError: a library is missing; how it is installed.
    """
    for name in names:
        if not is_installed(name):
            raise UserError(
                _("The setting trackers names {tracker}, whose library {library} is not installed").format(
                    tracker=TITLES[name], library=_MODULES[name]
                ),
                _("take it out of trackers, or run: {command}").format(command=installing(_MODULES[name])),
            )
