"""What to train with instead: one remedy for each thing that can become of a run."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from engine import units
from engine.analysis.facts import RunSummary
from engine.analysis.outcome import Outcome, outcome_of
from engine.analysis.rate import higher_rate, is_jumping, lower_rate, rate_sign
from engine.config import TrainingConfig
from engine.i18n import _, ngettext
from engine.units import duration, rate, typed_rate

Level = Literal["ok", "attention", "wrong"]

BROKEN: frozenset[Outcome] = frozenset({"zero_loss", "diverged", "flat"})
"""A run that became so is not worth going on with."""


@dataclass(frozen=True)
class Advice:
    """One situation and its remedy."""

    kind: str
    """Stable name: zero_loss, diverged, odd_end, loss_flat, no_gain, few_rows, worsened, overfitting,
    restless, underfitting, slow, slowed_down, memory, non_finite, few_steps, stalled, resume, no_validation,
    unreadable."""
    level: Level
    text: str
    """One or two translated sentences."""
    command: str = ""
    """What to type in a shell; empty if there is nothing to type."""


_Rule = Callable[[RunSummary, TrainingConfig], Advice | None]


def remedy(summary: RunSummary) -> Advice | None:
    """Return what to train with instead: the one piece of advice that follows from what became of the run.

    Of a run that is not at its end only one that broke has a remedy: the others are better gone on with.
    """
    outcome = outcome_of(summary)
    if summary.status != "finished" and outcome not in BROKEN:
        return None
    rule = _REMEDIES.get(outcome)
    return rule(summary, summary.config) if rule and summary.config else None


def restart(**values: object) -> str:
    """Return the command that begins anew with other values."""
    return " ".join(
        ["mqlora-tui train --restart", *(f"--set {key}={value}" for key, value in values.items())]
    )


def _diverged(summary: RunSummary, config: TrainingConfig) -> Advice | None:
    """Broken: a lower learning rate."""
    text = _("The steps were too large for this model and these examples: try a learning rate of {new}.")
    return _lower("diverged", "wrong", text, config)


def _zero_loss(summary: RunSummary, config: TrainingConfig) -> Advice | None:
    """Nothing to learn from: the data."""
    text = _(
        "Either no token of the rows is trained on, or the model knows them by heart already: "
        "see what is said of data/train.jsonl."
    )
    return Advice("zero_loss", "wrong", text, "mqlora-tui validate")


def _odd_end(summary: RunSummary, config: TrainingConfig) -> Advice | None:
    """Odd batches: the data, not the settings."""
    text = _("Look for rows unlike the others: the last examples surprised the model.")
    return Advice("odd_end", "attention", text, "mqlora-tui validate")


def _loss_flat(summary: RunSummary, config: TrainingConfig) -> Advice | None:
    """Not falling: a higher learning rate; rising or with skipped steps: a lower one."""
    now = config.learning_rate
    if rate_sign(summary) == "high":
        text = _("The loss rises: the learning rate of {now} is too high.")
        if summary.skipped_steps:
            text = _("The loss does not fall and steps were skipped: the learning rate of {now} is too high.")
        return _lower("loss_flat", "wrong", text, config)
    higher = higher_rate(summary, config)
    if higher is None:
        text = _("The loss does not fall at a learning rate of {now}, which is high: check the data.")
        return Advice("loss_flat", "wrong", text.format(now=rate(now)), "mqlora-tui validate")
    text = _("The loss does not fall: raise the learning rate from {now} to {new}.")
    text = text.format(now=rate(now), new=rate(higher))
    return Advice("loss_flat", "wrong", text, restart(learning_rate=typed_rate(higher)))


def _no_gain(summary: RunSummary, config: TrainingConfig) -> Advice | None:
    """Validation got no better: other data, else smaller steps."""
    text = _(
        "What it learns from data/train.jsonl does not help with data/valid.jsonl: "
        "see that both are of one kind, else try a learning rate of {new}."
    )
    return _lower("no_gain", "wrong", text, config)


def _worsened(summary: RunSummary, config: TrainingConfig) -> Advice | None:
    """Both losses rose: not what was learnt by heart, but steps that were too large."""
    text = _("Towards the end both losses rose again: try a learning rate of {new}.")
    return _lower("worsened", "attention", text, config)


def _unproven(summary: RunSummary, config: TrainingConfig) -> Advice | None:
    """No more than chance: more rows to tell by."""
    text = ngettext(
        "{n} validation row cannot tell so small a gain from chance: put more into data/valid.jsonl.",
        "{n} validation rows cannot tell so small a gain from chance: put more into data/valid.jsonl.",
        summary.validation_rows or 0,
    ).format(n=summary.validation_rows or 0)
    return Advice("few_rows", "attention", text, "mqlora-tui validate")


def _well(summary: RunSummary, config: TrainingConfig) -> Advice | None:
    """Good: a lower rate where the loss was not calm, else fewer epochs where the last gained nothing."""
    return _restless(summary, config) or _overfitting(summary, config)


def _restless(summary: RunSummary, config: TrainingConfig) -> Advice | None:
    if rate_sign(summary) != "high" or summary.skipped_steps or summary.failed_validations:
        return None  # of those `non_finite` tells
    text = _("The loss rose at first: the learning rate of {now} is high; {new} learns more calmly.")
    if is_jumping(summary):
        text = ngettext(
            "The loss jumped {n} time: the learning rate of {now} is high; {new} learns more calmly.",
            "The loss jumped {n} times: the learning rate of {now} is high; {new} learns more calmly.",
            summary.spikes,
        )
    return _lower("restless", "attention", text, config, n=summary.spikes)


def _overfitting(summary: RunSummary, config: TrainingConfig) -> Advice | None:
    """Steps after the best validation gained nothing: fewer epochs, else a lower learning rate."""
    fewer = _fewer_epochs(summary) if summary.wasted_steps else None
    if fewer or summary.overfitting != "significant":
        return fewer
    text = _("More data helps most against overfitting, else a learning rate of {new}.")
    return _lower("overfitting", "attention", text, config)


def _fewer_epochs(summary: RunSummary) -> Advice | None:
    hurt = summary.overfitting in ("slight", "significant") or _wasted_an_epoch(summary)
    settled = summary.settled_step or 0
    best_epochs = math.ceil(settled / max(summary.steps_per_epoch, 1))
    if not (hurt and 0 < best_epochs < summary.num_epochs and summary.steps_per_epoch):
        return None
    text = ngettext(
        "The model was best in epoch {n}: {n} epoch is enough.",
        "The model was best in epoch {n}: {n} epochs are enough.",
        best_epochs,
    )
    if settled != summary.best_step:
        text = ngettext(
            "After epoch {n} nothing was gained beyond noise: {n} epoch is enough.",
            "After epoch {n} nothing was gained beyond noise: {n} epochs are enough.",
            best_epochs,
        )
    text = text.format(n=best_epochs)
    if summary.overfitting == "none":  # the same model again: nothing to train anew for
        return Advice("overfitting", "ok", text)
    return Advice("overfitting", "attention", text, restart(num_epochs=best_epochs))


def _underfitting(summary: RunSummary, config: TrainingConfig) -> Advice | None:
    """Still improving at the end: another rate if that is to blame, no limit to the steps, or more epochs."""
    if restless := _restless(summary, config):
        return restless
    if rate_sign(summary) == "low" and (higher := higher_rate(summary, config)):
        text = _(
            "The loss fell slowly, to the end, and the learning rate of {now} is far below the rule of thumb "
            "of {usual}: try {new}."
        )
        usual = rate(float(f"{summary.usual_rate or 0.0:.1g}"))  # no more digits than it deserves
        text = text.format(now=rate(config.learning_rate), usual=usual, new=rate(higher))
        return Advice("underfitting", "attention", text, restart(learning_rate=typed_rate(higher)))
    if summary.is_cut_short:
        text = ngettext(
            "The loss was still falling at step {steps:,}, where max_steps ended the run; "
            "without that limit it trains for {n} epoch, about {time}.",
            "The loss was still falling at step {steps:,}, where max_steps ended the run; "
            "without that limit it trains for {n} epochs, about {time}.",
            config.num_epochs,
        )
        whole = summary.steps_per_epoch * config.num_epochs / max(summary.steps, 1) * summary.duration_s
        text = text.format(steps=summary.steps, n=config.num_epochs, time=duration(whole))
        return Advice("underfitting", "attention", text, restart(max_steps=0))
    more = config.num_epochs + max(1, config.num_epochs // 2)
    text = _("The loss was still falling at the end: {epochs} may give a better model.").format(
        epochs=units.epochs(more)
    )
    return Advice("underfitting", "attention", text, restart(num_epochs=more))


def _lower(kind: str, level: Level, text: str, config: TrainingConfig, **more: int) -> Advice:
    """Advise to begin anew with the next lower rate; `text` may name it as {new} and the present as {now}."""
    now = config.learning_rate
    new = lower_rate(config)
    command = restart(learning_rate=typed_rate(new))
    return Advice(kind, level, text.format(now=rate(now), new=rate(new), **more), command)


def _wasted_an_epoch(summary: RunSummary) -> bool:
    return 0 < summary.steps_per_epoch <= summary.wasted_steps


_REMEDIES: dict[Outcome, _Rule] = {
    "zero_loss": _zero_loss,
    "diverged": _diverged,
    "odd_end": _odd_end,
    "flat": _loss_flat,
    "no_gain": _no_gain,
    "worsened": _worsened,
    "overfitted": _overfitting,
    "by_heart": _overfitting,
    "slightly_overfitted": _well,
    "healthy": _well,
    "unproven": _unproven,
    "still_falling": _underfitting,
}
