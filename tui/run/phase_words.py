"""The stages of a run in words."""

from engine.i18n import _, ngettext
from engine.training.events import Phase, Usage
from engine.training.state import RunState

PREPARING = ("checking", "reaching", "tokenizing", "loading", "restoring", "connecting")
"""Stages before steps are made."""


def phase_words(phase: Phase) -> str:
    """Return a stage in words."""
    return {
        "checking": _("checking the checkpoint"),
        "reaching": _("waiting for the other machines to answer"),
        "loading": _("loading the model"),
        "tokenizing": _("reading and tokenizing the data"),
        "connecting": _("waiting for the other processes"),
        "restoring": _("going back to step {step:,}").format(step=phase.step),
        "validating": _("validating"),
        "answering": _("answering prompts.txt"),
        "training": _("training"),
        "saving": _("saving a checkpoint"),
    }[phase.name]


def phase_of(state: RunState) -> Phase | None:
    """Return the stage that a running process wrote into `state`; None while it makes steps."""
    match state.phase:
        case "validating" | "answering" | "saving":
            return Phase(state.phase, state.phase_done, state.phase_total)
        case _:
            return None


def usage_words(usage: Usage) -> list[str]:
    """Return padding, number of batch shapes and time in validation, each where it is known."""
    shapes = ngettext("{n} batch shape", "{n} batch shapes", usage.shapes).format(n=usage.shapes)
    known = [
        (usage.padding, _("padding {percent:.0f} %")),
        (usage.shapes or None, shapes),
        (usage.evaluation, _("validation {percent:.0f} % of the time")),
    ]
    return [text.format(percent=100 * value) for value, text in known if value is not None]
