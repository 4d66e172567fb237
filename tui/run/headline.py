"""The first line of the training screen: is it learning, is anything wrong, what is next."""

from datetime import datetime, timedelta

from engine import units
from engine.analysis.facts import RunSummary
from engine.analysis.headline import sign_of
from engine.analysis.verdict import Verdict
from engine.config import TrainingConfig
from engine.hardware.report import CheckStatus
from engine.i18n import _, ngettext, number
from engine.sanitize import one_line
from engine.training.events import Phase
from engine.training.selected_config import differences
from engine.training.state import lost_host, reason_of
from engine.units import duration
from tui.run.figures import RunFigures
from tui.run.machines import Machines
from tui.run.phase_words import PREPARING, phase_words
from tui.run.status import PhaseTracker, RunSign, RunStatus
from tui.run.view import RunView
from tui.words import profile_name

_FEW_STEPS = 20
"""Before that the mean of the newer steps may be lower by chance: the curve has to fall as well."""
_LEVEL = 0.01
"""Share of the loss that it has to fall by, to have fallen and not to be level."""
STATUSES: dict[str, CheckStatus] = {"ok": "ok", "attention": "warning", "wrong": "error"}
"""Status that a level of the analysis is shown as."""


def run_sign(summary: RunSummary, verdict: Verdict) -> RunSign:
    """Return what a run is marked with, wherever it is listed or reported."""
    match sign_of(summary, verdict.level):
        case "running" | "paused" as status:
            return status
        case level:
            return STATUSES[level]


def sentence(
    status: RunStatus, config: TrainingConfig, view: RunView, session: PhaseTracker, chosen: Machines
) -> tuple[RunSign | None, str, str]:
    """Return a status (None: nothing to judge yet), a sentence and what to do.

    Args:
        status: of the run.
        config: the selected settings.
        view: of the run's files.
        session: what this process works on.
        chosen: the machines that would begin or go on.
    """
    match status.phase:
        case "idle":
            return None, _("Nothing trained yet."), _start_hint(config, chosen)
        case "starting":
            return None, _("The run is starting in the background."), _("It is shown here once it goes on.")
        case "pausing":
            return None, _pausing(view, session), ""
        case "paused":
            text = _("Paused at step {step:,}, saved.").format(step=status.step)
            return "paused", text, _other_settings(status, config) or _going_on(chosen)
        case "finished":
            level = STATUSES[view.verdict.level]
            return level, view.verdict.headline, _("Enter: chat with it. 6: report.")
        case "interrupted" | "failed":
            hint = (
                _going_on_after_failure(view, chosen)
                if view.figures.summary.checkpoints
                else _("Enter begins anew: no checkpoint was saved.")
            )
            level = STATUSES[view.verdict.level]
            return level, view.verdict.headline, _other_settings(status, config) or hint
        case _:
            return _running(view, session)


def _other_settings(status: RunStatus, selected: TrainingConfig) -> str:
    """Say what Enter and R would train with where other settings are selected than the run's."""
    changes = differences(status.config, selected) if status.config else []
    text = _(
        "The selected settings differ from the run's: {changes}. "
        "R begins anew with them; Enter goes on with the run's own."
    )
    return text.format(changes=", ".join(changes)) if changes else ""


def after_a_failed_start(status: RunStatus) -> str:
    """Return what to say of an unfinished run that was to go on and did not; why is told elsewhere."""
    return _("It did not go on, for the reason below; saved up to step {step:,}.").format(step=status.step)


def _going_on(chosen: Machines) -> str:
    if chosen.is_several:
        return _("Enter goes on with {machines}.").format(machines=chosen.words)
    return _("Enter goes on.")


def _going_on_after_failure(view: RunView, chosen: Machines) -> str:
    """Say how a run goes on that failed; where a process was lost, also how it does without that."""
    lost = view.state.lost_rank if view.state else None
    host = lost_host(view.state) if view.state else ""
    if not chosen.is_several:
        text = _("Enter goes on from the last checkpoint.")
        if lost is not None:
            text = _("Enter goes on from the last checkpoint on this machine alone; m chooses others.")
    elif lost is None or lost == chosen.without:
        text = _("Enter goes on from the last checkpoint with {machines}.")
    elif chosen.hosts and host:
        text = _("Enter goes on with {machines} once {host} is back; m chooses without it.")
    elif chosen.hosts:
        text = _("Enter goes on from the last checkpoint with {machines}; m chooses others.")
    else:
        text = _("Enter goes on from the last checkpoint with {machines}; m chooses fewer.")
    return text.format(machines=chosen.words, host=host)


def _pausing(view: RunView, session: PhaseTracker) -> str:
    if _gets_ready(view, session):
        return _("Getting ready is being ended; what is saved stays as it is.")
    if pid := view.other_process:
        text = _("Process {pid} is asked to pause: it finishes its step, then saves a checkpoint.")
        if view.machines.is_several:
            text = _("{machines} are asked to pause: they finish their step, then process {pid} saves.")
        return text.format(pid=pid, machines=view.machines.words)
    return _("Pausing: the step is finished, then a checkpoint is saved.")


def _gets_ready(view: RunView, session: PhaseTracker) -> bool:
    """Whether no step is made yet."""
    phase, state = view.phase_elsewhere or session.phase, view.state
    if (phase and phase.name in PREPARING) or state is None:
        return True
    # A state that does not say so is of a run before, unless the process that trains now has written it.
    return state.status != "running" and not (view.owner and view.owner.pid == state.pid)


def _running(view: RunView, session: PhaseTracker) -> tuple[CheckStatus | None, str, str]:
    pid = view.other_process
    text = _("Process {pid} trains; Ctrl+C pauses it.")
    if not view.can_be_asked:
        text = _("Process {pid} trains; it cannot be paused from here.")
    elif view.machines.is_several:
        text = _("{machines}, led by process {pid}; Ctrl+C pauses them all.")
    where = text.format(pid=pid, machines=view.machines.words) if pid else ""
    if view.tuned:
        text = _("Tuning: run {n} of {count} is trained, in the history.")
        return None, text.format(n=view.tuned.place + 1, count=view.tuned.count), where
    phase = view.phase_elsewhere or session.phase
    if phase and phase.name in PREPARING:
        return None, _("Getting ready: {stage}.").format(stage=phase_words(phase)), where
    if view.state is None or view.state.status != "running":
        return None, _("Getting ready."), where
    if view.state.reason:  # a process is lost, and the run goes on without it
        return "warning", one_line(reason_of(view.state), 400), where
    busy = phase is not None
    for advice in view.advice:
        if not (advice.kind == "stalled" and busy):
            return STATUSES[advice.level], advice.text, where
    run = view.figures.summary
    if not run.steps or run.first_loss is None or run.last_loss is None:
        return None, _("Getting ready: {stage}.").format(stage=_("making the first step")), where
    if view.figures.summary.overfitting == "significant":
        text = _("Overfitting: validation is well above training; adapters/ keeps the best.")
        return "warning", text, where
    first, last = number(run.first_loss, ".2f"), number(run.last_loss, ".2f")
    has_fallen = run.last_loss < (1 - _LEVEL) * run.first_loss and first != last
    if not has_fallen or (run.steps < _FEW_STEPS and view.figures.trend == 1):
        return None, _("Too early to tell: the loss has not clearly fallen yet."), where
    return "ok", _("Learning: training loss {first} → {last}.").format(first=first, last=last), where


def _start_hint(config: TrainingConfig, chosen: Machines) -> str:
    if chosen.is_several:
        return _("Enter starts {profile} with {machines}: {plan}.").format(
            profile=profile_name(config), machines=chosen.words, plan=plan(config)
        )
    return _("Enter starts {profile}: {plan}.").format(profile=profile_name(config), plan=plan(config))


def plan(config: TrainingConfig) -> str:
    """Return how long a run is and how large its steps are, in few words."""
    epochs = ngettext("{n} epoch", "{n} epochs", config.num_epochs).format(n=config.num_epochs)
    if steps := config.max_steps:
        epochs = _("{epochs}, at most {steps}").format(epochs=epochs, steps=units.steps(steps))
    return _("{epochs}, {examples} a step").format(
        epochs=epochs, examples=units.examples(config.examples_per_step)
    )


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
    if phase and (not run.steps or phase.name in PREPARING):  # what steps there are may be of the run before
        count = _("{done} of {total}").format(done=phase.done, total=phase.total) if phase.total else ""
        return phase_words(phase), phase.done / max(phase.total, 1), count
    epoch = _("epoch {n}/{total}").format(n=figures.epoch, total=figures.num_epochs)
    if phase:
        count = f" {phase.done}/{phase.total}" if phase.total else ""
        epoch = phase_words(phase) + count
    made = max(figures.steps_made, run.steps)
    total = max(run.total_steps, made)
    share = made / total if total else 0.0
    position = _("step {step:,}/{total:,}  {percent:.0f} %").format(
        step=made, total=total, percent=share * 100
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
    clock = end.strftime("%H:%M" if left < 86_400 else _("%a %H:%M"))
    return text + _(", done {clock}").format(clock=clock)
