"""A run in plain words: is it good, what to change, what next."""

from dataclasses import dataclass, replace
from pathlib import Path

from engine.analysis.advice import LIVE_RULES, RULES, Advice, Level, is_flat, is_still_falling
from engine.analysis.history import RunHistory
from engine.analysis.summary import RunSummary
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
    if summary.status == "failed":
        reason = one_line(summary.reason, 400).rstrip(".") or _("no reason was recorded")
        return "wrong", _("The run failed at step {step:,}: {reason}.").format(step=step, reason=reason)
    if not step:
        return "attention", _("The run has not made a step yet.")
    if is_flat(summary):
        return "wrong", _("The loss did not fall: {first:.2f} at first, {last:.2f} now.").format(
            first=summary.first_loss, last=summary.last_loss
        )
    unfinished = {
        "running": _("Running, step {step:,} of {total:,}."),
        "paused": _("Paused at step {step:,} of {total:,}."),
        "interrupted": _("Cut off at step {step:,} of {total:,}: {reason}."),
    }
    if summary.status in unfinished:
        level: Level = "attention" if summary.status == "interrupted" else "ok"
        reason = one_line(summary.reason, 400)
        return level, unfinished[summary.status].format(step=step, total=total, reason=reason)
    return _finished(summary)


def _finished(summary: RunSummary) -> tuple[Level, str]:
    if summary.best_val_loss is None:
        return "attention", _("Finished after {n:,} steps, never validated.").format(n=summary.steps)
    initial = summary.initial_val_loss
    if initial is not None and summary.best_val_loss >= initial:
        return "wrong", _("The training helped nothing: validation was best before it, {loss:.2f}.").format(
            loss=initial
        )
    if summary.overfitting == "significant" and summary.has_risen:
        return "attention", _("Overfitted at the end. {best}").format(best=_best(summary))
    if summary.overfitting == "significant":
        return "attention", _("Learnt by heart: validation is {gap:.2f} above training. {best}").format(
            gap=summary.gap, best=_best(summary)
        )
    if is_still_falling(summary):
        return "attention", _("Good, but not finished learning. {best}").format(best=_best(summary))
    if summary.overfitting == "slight":
        return "ok", _("Good run, slightly overfitted. {best}").format(best=_best(summary))
    return "ok", _("Healthy run. {best}").format(best=_best(summary))


def _best(summary: RunSummary) -> str:
    if not summary.wasted_steps:
        return _("Best at its last step, {step:,}.").format(step=summary.steps)
    return _("Best at step {step:,} of {total:,}; later steps gained nothing ({time}).").format(
        step=summary.best_step, total=summary.steps, time=duration(summary.wasted_s)
    )


def _next_steps(summary: RunSummary) -> tuple[NextStep, ...]:
    """Return what can be done with the adapter; nothing if there is none."""
    if summary.adapters is None or summary.status == "running":
        return ()
    root = summary.folder.parent
    model = one_line(path_of(_model_folder(root, summary.model)), 1000)
    adapter = path_of(summary.adapters)
    fused = path_of(root / "fused_model")
    return (
        NextStep(_("talk to it"), "mqlora-tui chat"),
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
