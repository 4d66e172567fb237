"""What a run is called: the first sentence of its verdict, with the figures that show it."""

from typing import Literal

from engine.analysis.facts import RunSummary
from engine.analysis.levels import RECENT
from engine.analysis.outcome import Outcome, divergence_of, is_unreadable, odd_steps, outcome_of
from engine.analysis.remedies import BROKEN, Level
from engine.i18n import _, ngettext
from engine.sanitize import one_line
from engine.units import duration, nats

Sign = Level | Literal["running", "paused"]
"""What a run is marked with."""


def sign_of(summary: RunSummary, level: Level) -> Sign:
    """Return what a run is marked with: that it is not over, if nothing is wrong, or how good it is."""
    match summary.status:
        case "running" | "paused" as status if level != "wrong":
            return status
    return level


def headline_of(summary: RunSummary) -> tuple[Level, str]:
    """Return how good a run is, and the judgement in one or two short sentences."""
    step, total = summary.steps, max(summary.total_steps, summary.steps)
    outcome, reason = outcome_of(summary), one_line(summary.reason, 400)
    if summary.status == "failed":
        reason = reason.rstrip(".") or _("no reason was recorded")
        return "wrong", _("The run failed at step {step:,}: {reason}.").format(step=step, reason=reason)
    if outcome == "no_steps" or outcome in BROKEN or summary.status == "finished":
        return _LEVELS[outcome], _sentence(outcome, summary)
    unfinished = {
        "running": _("Running, step {step:,} of {total:,}."),
        "paused": _("Paused at step {step:,} of {total:,}."),
        "interrupted": _("Cut off at step {step:,} of {total:,}: {reason}."),
    }
    if not summary.total_steps:  # the state that tells it is lost
        unfinished["interrupted"] = _("Cut off at step {step:,}: {reason}.")
    level: Level = "attention" if summary.status == "interrupted" else "ok"
    return level, unfinished[summary.status].format(step=step, total=total, reason=reason)


_LEVELS: dict[Outcome, Level] = {
    "no_steps": "attention",
    "zero_loss": "wrong",
    "diverged": "wrong",
    "odd_end": "attention",
    "too_short": "attention",
    "flat": "wrong",
    "not_validated": "attention",
    "no_gain": "wrong",
    "unproven": "attention",
    "worsened": "attention",
    "overfitted": "attention",
    "by_heart": "attention",
    "still_falling": "attention",
    "slightly_overfitted": "ok",
    "healthy": "ok",
}


def _sentence(outcome: Outcome, run: RunSummary) -> str:
    """Say what became of a run, with the figures that show it."""
    text = _diverged(run) if outcome == "diverged" else _texts(run)[outcome]
    return text.format(
        **_figures(run),
        steps=run.steps,
        lines=run.unreadable_lines,
        best=_best(run),
        failed=run.failed_at_end,
        skipped=run.skipped_at_end,
        recent=min(RECENT, run.steps),
        odd=odd_steps(run),
    ).strip()


def _texts(run: RunSummary) -> dict[Outcome, str]:
    """Return the sentence of each outcome but "diverged", its figures still to be filled in."""
    return {
        "no_steps": ngettext(
            "The only line of training_metrics.json cannot be read: nothing is known of the run's steps.",
            "None of the {lines:,} lines of training_metrics.json can be read: "
            "nothing is known of the run's steps.",
            run.unreadable_lines,
        )
        if is_unreadable(run)
        else _("The run has not made a step yet."),
        "zero_loss": ngettext(
            "There was nothing to learn: the loss of its {steps:,} step was 0.",
            "There was nothing to learn: the loss was 0 in all {steps:,} steps.",
            run.steps,
        ),
        "odd_end": ngettext(
            "The last step's loss of {end} is odd ({late} before), validation is not. {best}",
            "The losses of the last {odd} steps are odd ({end} at the end, {late} before), "
            "validation is not. {best}",
            odd_steps(run),
        ),
        "too_short": ngettext(
            "Too short to judge, with {steps:,} step. {best}",
            "Too short to judge, with {steps:,} steps. {best}",
            run.steps,
        ),
        "flat": _("The loss did not fall: {first} at first, {last} now."),
        "not_validated": ngettext(
            "Finished after {steps:,} step, never validated.",
            "Finished after {steps:,} steps, never validated.",
            run.steps,
        ),
        "no_gain": _("The training helped nothing: validation was never better than before it, {initial}."),
        "unproven": _("No gain beyond chance: validation fell by {gain} ± {margin}. {best}"),
        "worsened": _("Worse at the end: validation rose by {rise}, and the training loss too. {best}"),
        "overfitted": _("Overfitted at the end. {best}"),
        "by_heart": _("Learnt by heart: the gap to validation grew by {growth} to {gap}. {best}"),
        "still_falling": _("Good, but not finished learning. {best}"),
        "slightly_overfitted": _("Good run, slightly overfitted. {best}"),
        "healthy": _("Healthy run. {best}"),
    }


def _figures(run: RunSummary) -> dict[str, str]:
    """Return the losses that sentences name; those that are not known stand in none."""
    found = {
        "first": run.first_loss,
        "last": run.last_loss,
        "end": run.end_loss,
        "late": run.late_loss,
        "low": _lower(run.lowest_loss, run.untrained_loss),
        "best_val": run.best_val_loss,
        "low_val": _lower(run.best_val_loss, run.initial_val_loss),
        "last_val": run.last_val_loss,
        "initial": run.initial_val_loss,
        "growth": run.gap_growth,
        "gap": run.gap,
        "rise": run.val_rise,
        "gain": run.gain.mean if run.gain else None,
        "margin": run.gain.margin if run.gain else None,
    }
    return {name: nats(value) for name, value in found.items() if value is not None}


def _lower(*losses: float | None) -> float | None:
    return min((loss for loss in losses if loss is not None), default=None)


def _diverged(run: RunSummary) -> str:
    """Return the sentence for what shows that a run broke."""
    texts = {
        "validations": ngettext(
            "Diverged: the last validation was not finite.",
            "Diverged: the last {failed} validations were not finite.",
            run.failed_at_end,
        ),
        "steps": ngettext(
            "Diverged: its only step had no finite loss or gradient.",
            "Diverged: {skipped} of the last {recent} steps had no finite loss or gradient.",
            min(RECENT, run.steps),
        ),
        "jump": ngettext(
            "Diverged: the loss was {end} at the last step, and {late} before.",
            "Diverged: the loss was far too high in the last {odd} steps, {end} at the end, "
            "and {late} before.",
            odd_steps(run),
        ),
        "rise": _("Diverged: the loss rose from {low} to {late}."),
        "validation": _("Diverged: validation rose from {low_val} to {last_val}."),
    }
    text = texts[divergence_of(run) or "rise"]
    if run.best_step is None:
        return text
    if not run.has_helped:
        return f"{text} {_untrained_is_best(run)}"
    return text + " " + _("adapters/ holds the best, of step {best_step:,}.").format(best_step=run.best_step)


def _untrained_is_best(run: RunSummary) -> str:
    return _(
        "The model was no worse without training: validation {initial} before it, {best_val} at best."
    ).format(**_figures(run))


def _best(summary: RunSummary) -> str:
    if summary.best_step is None:
        return ""
    if not summary.has_helped:
        return _untrained_is_best(summary)
    if summary.settled_step != summary.best_step:
        text = _(
            "Best at step {step:,} of {total:,}, but step {enough:,} was as good within noise; "
            "later steps gained nothing ({time})."
        )
    elif summary.wasted_steps:
        text = _("Best at step {step:,} of {total:,}; later steps gained nothing ({time}).")
    else:
        text = _("Best at its last step, {step:,}.")
    if summary.enough_step not in (None, summary.settled_step):
        text += " " + _("Step {enough:,} was as good within noise.")
    return text.format(
        step=summary.best_step,
        total=summary.steps,
        enough=summary.enough_step,
        time=duration(summary.wasted_s),
    )
