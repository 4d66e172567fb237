"""How far a run is, in the two texts and the share of the progress line."""

from datetime import datetime, timedelta

from engine.i18n import _
from engine.training.events import Phase
from engine.units import duration
from tui.run.figures import RunFigures
from tui.run.status import RunStatus
from tui.run.words import phase_words


def progress(
    figures: RunFigures, phase: Phase | None, status: RunStatus, now: datetime
) -> tuple[str, float, str]:
    """Return the text before the bar, its share (0 to 1) and the text after it.

    Args:
        figures: of the run.
        phase: stage being worked on; None while steps are made.
        status: of the run.
        now: the present time.
    """
    run, phase = figures.summary, phase if status.is_training else None
    if phase and not run.steps:
        count = _("{done} of {total}").format(done=phase.done, total=phase.total) if phase.total else ""
        return phase_words(phase), phase.done / max(phase.total, 1), count
    epoch = _("epoch {n}/{total}").format(n=figures.epoch, total=figures.num_epochs)
    if phase:
        count = f" {phase.done}/{phase.total}" if phase.total else ""
        epoch = phase_words(phase) + count
    total = max(run.total_steps, run.steps)
    share = run.steps / total if total else 0.0
    position = _("step {step:,}/{total:,}  {percent:.0f} %").format(
        step=run.steps, total=total, percent=share * 100
    )
    return (epoch if total else ""), share, (position + _ending(figures, status, now) if total else "")


def _ending(figures: RunFigures, status: RunStatus, now: datetime) -> str:
    """Say how long it still takes, and until when if it is going on now."""
    left = figures.seconds_left
    if not left:
        return ""
    text = "  " + _("left {time}").format(time=duration(left))
    if not status.is_training:
        return text
    end = now + timedelta(seconds=left)
    clock = f"{end:%H:%M}" if left < 86_400 else f"{end:%a %H:%M}"
    return text + _(", done {clock}").format(clock=clock)
