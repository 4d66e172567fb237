"""A run in plain words: is it good, what to change, what next."""

import shlex
from dataclasses import dataclass, replace
from pathlib import Path

from engine.analysis.advice import LIVE_RULES, RULES
from engine.analysis.facts import RunSummary
from engine.analysis.headline import headline_of
from engine.analysis.outcome import LEAST_DRAWN, outcome_of
from engine.analysis.remedies import BROKEN, Advice, Level
from engine.analysis.run_folder import model_folder
from engine.i18n import _, ngettext
from engine.sanitize import one_line
from engine.shell import complete, path_of, program
from engine.training.history import RunHistory
from engine.units import duration

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
    command: str = ""
    """The one of them to go on with: what is wrong first, else what the result is for; empty if none is."""

    def ready_to_paste(self, root: Path) -> "Verdict":
        """Return the same with complete commands, for the project in the folder `root`."""
        return replace(
            self,
            headline=complete(self.headline, root),
            command=complete(self.command, root),
            advice=tuple(replace(item, command=complete(item.command, root)) for item in self.advice),
            next_steps=tuple(replace(step, command=complete(step.command, root)) for step in self.next_steps),
        )


def judge(summary: RunSummary) -> Verdict:
    """Put a summary into words."""
    level, headline = headline_of(summary)
    advice = tuple(found for rule in RULES if (found := rule(summary)))
    steps = _next_steps(summary)
    return Verdict(level, headline, advice, steps, _next_command(advice, steps))


def live_advice(summary: RunSummary, history: RunHistory, silent_s: float) -> tuple[Advice, ...]:
    """Return what a person watching a run should know; empty while all is well.

    Args:
        summary: the run so far.
        history: its steps.
        silent_s: seconds since the run wrote its last step.
    """
    found = [advice for rule in LIVE_RULES if (advice := rule(summary))]
    for special in (_rising(summary, history), _stuck(summary, history, silent_s)):
        if special:
            found.append(special)
    return tuple(found)


def _next_command(advice: tuple[Advice, ...], steps: tuple[NextStep, ...]) -> str:
    """Return the command of the first advice that is no mere hint, else of the first next step."""
    urgent = [item.command for item in advice if item.level != "ok" or item.kind == "resume"]
    others = [step.command for step in steps] + [item.command for item in advice]
    return next(filter(None, urgent + others), "")


def _next_steps(summary: RunSummary) -> tuple[NextStep, ...]:
    """Return what can be done with the adapter; nothing if there is none, or none that is of use."""
    if summary.adapters is None or summary.status == "running":
        return ()
    outcome = outcome_of(summary)
    has_nothing = outcome in BROKEN if summary.best_step is None else not summary.has_helped
    can_draw = summary.steps >= LEAST_DRAWN and not summary.is_archived
    draw = (NextStep(_("draw it"), "mqlora-tui plot"),) if can_draw else ()
    if has_nothing or outcome == "zero_loss":
        return draw
    model = one_line(path_of(model_folder(summary.root, summary.model)), 1000)
    adapter = path_of(summary.adapters)
    is_best = summary.adapters.name == "adapters"
    question = shlex.quote(_("Your question"))
    talk = (NextStep(_("talk to it"), "mqlora-tui chat"),)
    checkpoint = "" if is_best else f" --checkpoint {shlex.quote(summary.adapters.name)}"
    if summary.is_archived:
        checkpoint = f" --adapter {adapter}"
        talk, is_best = (NextStep(_("talk to it"), f"mqlora-tui chat{checkpoint}"),), True
    return (
        *(talk if is_best else ()),  # chat takes no checkpoint
        *draw,
        NextStep(
            _("use it with mlx-lm"),
            f"{program('mlx_lm.generate')} --model {model} --adapter-path {adapter} --prompt {question}",
        ),
        _export_step(summary, checkpoint),
    )


def _export_step(summary: RunSummary, chosen: str) -> NextStep:
    """Return the command that exports the adapter that the options `chosen` name; DoRA's only merged."""
    if summary.config and summary.config.fine_tune_type == "dora":
        text = _("merge it into a model for Ollama, LM Studio or others, such as")
        return NextStep(text, f"mqlora-tui export --to=ollama --bits=8{chosen}")
    text = _("export it for Ollama, LM Studio, vLLM or others, such as")
    return NextStep(text, f"mqlora-tui export --to=ollama{chosen}")


def _rising(summary: RunSummary, history: RunHistory) -> Advice | None:
    """Three validations in a row above the one before: the run is past its best."""
    steps, losses = history.points("val_loss")
    if len(losses) < 4 or not (np.diff(losses[-4:]) > 0).all():
        return None
    best = int(steps[int(np.argmin(losses))])
    text = (
        _("Validation has risen three times in a row; adapters/ keeps the best, of step {step:,}.")
        if summary.has_helped
        else _("Validation has risen three times in a row; it was best before the first step.")
    )
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
