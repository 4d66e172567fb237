"""The stages of a run in words."""

from engine.i18n import _
from engine.training.events import Phase
from engine.training.state import RunState


def phase_words(name: str) -> str:
    """Return the stage called `name` (see `engine.training.events.Phase`) in words."""
    return {
        "loading": _("loading the model"),
        "tokenizing": _("reading and tokenizing the data"),
        "validating": _("validating"),
        "training": _("training"),
        "saving": _("saving a checkpoint"),
    }[name]


def phase_of(state: RunState) -> Phase | None:
    """Return the stage that a running process wrote into `state`; None while it makes steps."""
    match state.phase:
        case "loading" | "tokenizing" | "validating" | "saving":
            return Phase(state.phase, state.phase_done, state.phase_total)
        case _:
            return None
