"""A run in plain words: is it good, what to change, what next."""

from dataclasses import dataclass, replace
from pathlib import Path

from engine.analysis.advice import LIVE_RULES, RULES
from engine.analysis.facts import RunSummary
from engine.analysis.history import RunHistory
from engine.analysis.outcome import Outcome, divergence_of, odd_steps, outcome_of
from engine.analysis.remedies import BROKEN, Advice, Level
from engine.i18n import _, ngettext
from engine.shell import complete, path_of, program
from engine.text import one_line
from engine.words import duration

import numpy as np

# A run counts as stuck when its file has not grown for so many median steps, and at least for a minute.
_STUCK_STEPS = 20
_STUCK_S = 60.0


@dataclass(frozen=True)
class NextStep:
    """Something to do with the result."""

    text: str
    command: str
    """What to type in a shell; `engine.shell` completes the commands of this program."""


@dataclass(frozen=True)
class Verdict:
    """The judgement of a run."""

    level: Level
    headline: str
    """One or two short sentences."""
    advice: tuple[Advice, ...]
    next_steps: tuple[NextStep, ...]

    def ready_to_paste(self, root: Path) -> "Verdict":
        """Return the same with complete commands, for the project in the folder `root`."""
        return replace(
            self,
            headline=complete(self.headline, root),
            advice=tuple(replace(item, command=complete(item.command, root)) for item in self.advice),
            next_steps=tuple(replace(step, command=complete(step.command, root)) for step in self.next_steps),
        )


def judge(summary: RunSummary) -> Verdict:
    """Put a summary into words."""
    level, headline = _headline(summary)
    advice = tuple(found for rule in RULES if (found := rule(summary)))
    return Verdict(level, headline, advice, _next_steps(summary))


def live_advice(summary: RunSummary, history: RunHistory, silent_s: float) -> tuple[Advice, ...]:
    """Return what a person watching a run should know; empty while all is well.

    Args:
        summary: the run so far.
        history: its steps.
        silent_s: seconds since the run wrote its last step.
    """
    found = [advice for rule in LIVE_RULES if (advice := rule(summary))]
    for special in (_rising(history), _stuck(summary, history, silent_s)):
        if special:
            found.append(special)
    return tuple(found)


def _headline(summary: RunSummary) -> tuple[Level, str]:
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
    "diverged": "wrong",
    "odd_end": "attention",
    "too_short": "attention",
    "flat": "wrong",
    "not_validated": "attention",
    "no_gain": "wrong",
    "worsened": "attention",
    "overfitted": "attention",
    "by_heart": "attention",
    "still_falling": "attention",
    "slightly_overfitted": "ok",
    "healthy": "ok",
}


def _sentence(outcome: Outcome, run: RunSummary) -> str:
    """Say what became of a run, with the figures that show it."""
    texts: dict[Outcome, str] = {
        "no_steps": _("The run has not made a step yet."),
        "odd_end": ngettext(
            "The last step's loss of {end:.2f} is odd ({late:.2f} before), validation is not. {best}",
            "The losses of the last {odd} steps are odd ({end:.2f} at the end, {late:.2f} before), "
            "validation is not. {best}",
            odd_steps(run),
        ),
        "too_short": ngettext(
            "Too short to judge, with {steps:,} step. {best}",
            "Too short to judge, with {steps:,} steps. {best}",
            run.steps,
        ),
        "flat": _("The loss did not fall: {first:.2f} at first, {last:.2f} now."),
        "not_validated": ngettext(
            "Finished after {steps:,} step, never validated.",
            "Finished after {steps:,} steps, never validated.",
            run.steps,
        ),
        "no_gain": _("The training helped nothing: validation was best before it, {initial:.2f}."),
        "worsened": _("Worse at the end: validation rose by {rise:.2f}, and the training loss too. {best}"),
        "overfitted": _("Overfitted at the end. {best}"),
        "by_heart": _("Learnt by heart: the gap to validation grew by {growth:.2f} to {gap:.2f}. {best}"),
        "still_falling": _("Good, but not finished learning. {best}"),
        "slightly_overfitted": _("Good run, slightly overfitted. {best}"),
        "healthy": _("Healthy run. {best}"),
    }
    text = _diverged(run) if outcome == "diverged" else texts[outcome]
    return text.format(
        **_figures(run),
        steps=run.steps,
        best=_best(run),
        failed=run.failed_at_end,
        skipped=run.skipped_at_end,
        odd=odd_steps(run),
    ).strip()


def _figures(run: RunSummary) -> dict[str, float]:
    """Return the losses that sentences name; those that are not known stand in none."""
    found = {
        "first": run.first_loss,
        "last": run.last_loss,
        "end": run.end_loss,
        "late": run.late_loss,
        "lowest": run.lowest_loss,
        "initial": run.initial_val_loss,
        "growth": run.gap_growth,
        "gap": run.gap,
        "rise": run.val_rise,
    }
    return {name: value for name, value in found.items() if value is not None}


def _diverged(run: RunSummary) -> str:
    """Return the sentence for what shows that a run broke."""
    texts = {
        "validations": ngettext(
            "Diverged: the last validation was not finite.",
            "Diverged: the last {failed} validations were not finite.",
            run.failed_at_end,
        ),
        "steps": _("Diverged: {skipped} of the last 10 steps had no finite loss or gradient."),
        "jump": ngettext(
            "Diverged: the loss was {end:.2f} at the last step, and {late:.2f} before.",
            "Diverged: the loss was far too high in the last {odd} steps, {end:.2f} at the end, "
            "and {late:.2f} before.",
            odd_steps(run),
        ),
        "rise": _("Diverged: the loss rose from {lowest:.2f} to {late:.2f}."),
    }
    text = texts[divergence_of(run) or "rise"]
    if run.best_step is not None:
        text += " " + _("adapters/ holds the best, of step {best_step:,}.").format(best_step=run.best_step)
    return text


def _best(summary: RunSummary) -> str:
    if summary.best_step is None:
        return ""
    if not summary.wasted_steps:
        return _("Best at its last step, {step:,}.").format(step=summary.steps)
    return _("Best at step {step:,} of {total:,}; later steps gained nothing ({time}).").format(
        step=summary.best_step, total=summary.steps, time=duration(summary.wasted_s)
    )


def _next_steps(summary: RunSummary) -> tuple[NextStep, ...]:
    """Return what can be done with the adapter; nothing if there is none, or none that is of use."""
    if summary.adapters is None or summary.status == "running":
        return ()
    outcome = outcome_of(summary)
    if outcome == "no_gain" or (outcome in BROKEN and summary.best_step is None):
        return (NextStep(_("draw it"), "mqlora-tui plot"),)
    root = summary.folder.parent
    model = one_line(path_of(_model_folder(root, summary.model)), 1000)
    adapter = path_of(summary.adapters)
    fused = path_of(root / "fused_model")
    talk = (NextStep(_("talk to it"), "mqlora-tui chat"),)
    return (
        *(talk if summary.adapters.name == "adapters" else ()),  # chat takes no checkpoint
        NextStep(_("draw it"), "mqlora-tui plot"),
        NextStep(
            _("use it with mlx-lm"),
            f"{program('mlx_lm.generate')} --model {model} --adapter-path {adapter} --prompt 'Your question'",
        ),
        NextStep(
            _("make one model of it"),
            f"{program('mlx_lm.fuse')} --model {model} --adapter-path {adapter} --save-path {fused}",
        ),
    )


def _model_folder(root: Path, name: str) -> Path:
    """Return the base model's folder."""
    return root / name if name and (root / name / "config.json").is_file() else root / "models" / name


def _rising(history: RunHistory) -> Advice | None:
    """Three validations in a row above the one before: the run is past its best."""
    steps, losses = history.points("val_loss")
    if len(losses) < 4 or not (np.diff(losses[-4:]) > 0).all():
        return None
    best = int(steps[int(np.argmin(losses))])
    text = _("Validation has risen three times in a row; adapters/ keeps the best, of step {step:,}.")
    return Advice("overfitting", "attention", text.format(step=best))


def _stuck(summary: RunSummary, history: RunHistory, silent_s: float) -> Advice | None:
    """Said to be running, but no step was written for many times the median step."""
    if summary.status != "running" or len(history) < 3:
        return None
    usual = float(np.median(np.diff(history.elapsed_s)))
    if silent_s < max(_STUCK_S, _STUCK_STEPS * usual):
        return None
    text = ngettext(
        "No new step for {time}; a step usually takes {usual:.1f} second.",
        "No new step for {time}; a step usually takes {usual:.1f} seconds.",
        max(1, round(usual)),
    )
    return Advice(
        "stalled", "attention", text.format(time=duration(silent_s), usual=usual), "mqlora-tui monitor"
    )
