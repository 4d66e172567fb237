"""What to change, recognised from the figures of a run: one small rule per situation."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from engine.analysis.overfitting import SIGNIFICANT_GAP
from engine.analysis.summary import RunSummary
from engine.config import TrainingConfig
from engine.i18n import _, ngettext
from engine.words import duration, rate

Level = Literal["ok", "attention", "wrong"]

# Learning rates worth trying, from very conservative to aggressive.
_RATES = (5e-5, 1e-4, 2e-4, 3e-4, 5e-4)
# Sequence lengths worth trying.
_LENGTHS = (256, 384, 512)

FEW_STEPS = 10
"""Charts and judgements need about so many steps."""
_SETTLED_STEPS = 50  # before that a flat loss may still be the warm-up
_LITTLE_PERCENT = 5.0  # a training loss that fell by less did not fall
_STILL_FALLING = 0.05  # share by which the last third lies below the second
_LONG_RUN_S = 3 * 3600.0  # a usual run of 3 epochs takes 2 to 3 hours
_SLOWED_DOWN = 0.6  # of the speed at the start


@dataclass(frozen=True)
class Advice:
    """One situation and its remedy."""

    kind: str
    """Stable name: loss_flat, overfitting, underfitting, slow, slowed_down, memory, non_finite, few_steps,
    stalled, resume, no_validation, unreadable."""
    level: Level
    text: str
    """One or two translated sentences."""
    command: str = ""
    """What to type in a shell; empty if there is nothing to type."""


Rule = Callable[[RunSummary], Advice | None]


def is_flat(summary: RunSummary) -> bool:
    """Whether the training loss has not fallen although there was time for it."""
    improvement = summary.improvement_percent
    return improvement is not None and improvement < _LITTLE_PERCENT and summary.steps >= _SETTLED_STEPS


def is_still_falling(summary: RunSummary) -> bool:
    """Whether the run ended while both losses were still getting better."""
    if summary.late_fall is None or summary.late_fall < _STILL_FALLING:
        return False
    return summary.best_step is None or summary.wasted_steps == 0


def loss_flat(summary: RunSummary) -> Advice | None:
    """Not falling: a higher learning rate; rising: a lower one."""
    config, improvement = summary.config, summary.improvement_percent
    if not is_flat(summary) or config is None or improvement is None:
        return None
    now = config.learning_rate
    if improvement < -_LITTLE_PERCENT:
        text = _("The loss rises: the learning rate of {now} is too high.").format(now=rate(now))
        return Advice("loss_flat", "wrong", text, _restart(learning_rate=rate(_lower(now))))
    higher = next((value for value in _RATES if value > now * 1.001), None)
    if higher is None:
        text = _("The loss does not fall at a learning rate of {now}, which is high: check the data.")
        return Advice("loss_flat", "wrong", text.format(now=rate(now)), "mqlora-tui validate")
    text = _("The loss does not fall: raise the learning rate from {now} to {new}.")
    text = text.format(now=rate(now), new=rate(higher))
    return Advice("loss_flat", "wrong", text, _restart(learning_rate=rate(higher)))


def overfitting(summary: RunSummary) -> Advice | None:
    """Steps after the best validation gained nothing: fewer epochs, else a lower learning rate."""
    config = summary.config
    if config is None or not summary.wasted_steps or summary.status != "finished":
        return None
    hurt = summary.overfitting in ("slight", "significant") or _wasted_an_epoch(summary)
    best_epochs = math.ceil((summary.best_step or 0) / max(summary.steps_per_epoch, 1))
    if hurt and 0 < best_epochs < summary.num_epochs and summary.steps_per_epoch:
        text = ngettext(
            "The model was best in epoch {n}: {n} epoch is enough.",
            "The model was best in epoch {n}: {n} epochs are enough.",
            best_epochs,
        ).format(n=best_epochs)
        return Advice("overfitting", "attention", text, _restart(num_epochs=best_epochs))
    if summary.overfitting != "significant":
        return None
    lower = rate(_lower(config.learning_rate))
    text = _("It learns its examples by heart: more data helps most, else a learning rate of {new}.")
    return Advice("overfitting", "attention", text.format(new=lower), _restart(learning_rate=lower))


def underfitting(summary: RunSummary) -> Advice | None:
    """Still improving at the end: more epochs, or no limit to the steps of those there were."""
    config = summary.config
    if config is None or summary.status != "finished" or not is_still_falling(summary):
        return None
    if summary.gap is not None and summary.gap > SIGNIFICANT_GAP:
        return None
    if summary.is_cut_short:
        text = ngettext(
            "The loss was still falling at step {steps:,}, where max_steps ended the run; "
            "without that limit it trains for {n} epoch.",
            "The loss was still falling at step {steps:,}, where max_steps ended the run; "
            "without that limit it trains for {n} epochs.",
            config.num_epochs,
        ).format(steps=summary.steps, n=config.num_epochs)
        return Advice("underfitting", "attention", text, _restart(max_steps=0))
    more = config.num_epochs + max(1, config.num_epochs // 2)
    text = _("The loss was still falling at the end: {n} epochs may give a better model.").format(n=more)
    return Advice("underfitting", "attention", text, _restart(num_epochs=more))


def memory(summary: RunSummary) -> Advice | None:
    """Close to the memory of the machine: a smaller batch with the same examples a step."""
    config, peak, total = summary.config, summary.peak_memory_gb, summary.machine_memory_gb
    if config is None or peak is None or total is None or peak < 0.9 * total:
        return None
    text = _("Peak memory of {peak:.1f} GB is close to the {total:.1f} GB of this machine.")
    if config.batch_size > 1:
        half = config.batch_size // 2
        accumulation = math.ceil(config.examples_per_step / half)
        command = _restart(batch_size=half, gradient_accumulation=accumulation)
    else:
        command = _restart(max_seq_length=_shorter(config.max_seq_length))
    return Advice("memory", "attention", text.format(peak=peak, total=total), command)


def slow(summary: RunSummary) -> Advice | None:
    """A run of many hours: larger batches where memory allows, else shorter sequences."""
    config, expected = summary.config, _expected_seconds(summary)
    if config is None or expected < _LONG_RUN_S or summary.peak_memory_gb is None:
        return None
    text = _("A run takes {time}. ").format(time=duration(expected))
    if summary.machine_memory_gb and summary.peak_memory_gb < 0.4 * summary.machine_memory_gb:
        text += _("Memory is left for a larger batch, which is often faster.")
        accumulation = max(1, config.gradient_accumulation // 2)
        command = _restart(batch_size=2 * config.batch_size, gradient_accumulation=accumulation)
    elif _tokens_per_example(summary, config) > 0.5 * config.max_seq_length:
        shorter = _shorter(config.max_seq_length)
        text += _("Cutting examples at {n} tokens makes it shorter; the data report tells which.").format(
            n=shorter
        )
        command = _restart(max_seq_length=shorter)
    else:
        return None
    return Advice("slow", "ok", text, command)


def slowed_down(summary: RunSummary) -> Advice | None:
    """Much slower at the end than at the start: the machine, not the configuration."""
    if summary.slowdown is None or summary.slowdown > _SLOWED_DOWN:
        return None
    text = _("Training slowed down to {percent:.0f} % of its first speed: look for heat, battery or swap.")
    return Advice("slowed_down", "attention", text.format(percent=100 * summary.slowdown), "mqlora-tui check")


def non_finite(summary: RunSummary) -> Advice | None:
    """Skipped steps: a lower learning rate."""
    if not summary.skipped_steps or summary.config is None:
        return None
    text = ngettext(
        "{n} step had no finite loss or gradient and changed nothing.",
        "{n} steps had no finite loss or gradient and changed nothing.",
        summary.skipped_steps,
    ).format(n=summary.skipped_steps)
    lower = rate(_lower(summary.config.learning_rate))
    return Advice("non_finite", "attention", text, _restart(learning_rate=lower))


def few_steps(summary: RunSummary) -> Advice | None:
    """Too short to judge."""
    if summary.steps >= FEW_STEPS or summary.status == "running":
        return None
    text = _("Charts need about {m} steps and there are {n}.").format(m=FEW_STEPS, n=summary.steps)
    return Advice("few_steps", "attention", text)


def no_validation(summary: RunSummary) -> Advice | None:
    """Nothing says which step was best."""
    if summary.best_step is not None or summary.status != "finished":
        return None
    text = _("Without a validation the best step is not known: put examples into data/valid.jsonl.")
    return Advice("no_validation", "attention", text, "mqlora-tui validate")


def unreadable(summary: RunSummary) -> Advice | None:
    """Damaged lines in the metrics file."""
    if not summary.unreadable_lines:
        return None
    text = _("{n} lines of training_metrics.json cannot be read and are left out.")
    return Advice("unreadable", "attention", text.format(n=summary.unreadable_lines))


def resume(summary: RunSummary) -> Advice | None:
    """Not at its end: how to go on."""
    if summary.status not in ("paused", "interrupted", "failed"):
        return None
    text = _("The run goes on where its last checkpoint is.")
    return Advice("resume", "ok", text, "mqlora-tui train --resume")


LIVE_RULES: tuple[Rule, ...] = (non_finite, loss_flat, memory, slowed_down)
RULES: tuple[Rule, ...] = (
    resume,
    non_finite,
    loss_flat,
    overfitting,
    underfitting,
    no_validation,
    memory,
    slowed_down,
    slow,
    few_steps,
    unreadable,
)


def _restart(**values: object) -> str:
    return " ".join(
        ["mqlora-tui train --restart", *(f"--set {key}={value}" for key, value in values.items())]
    )


def _lower(now: float) -> float:
    return max((value for value in _RATES if value < now * 0.999), default=now / 2)


def _shorter(now: int) -> int:
    return max((length for length in _LENGTHS if length < now), default=max(16, now // 2))


def _wasted_an_epoch(summary: RunSummary) -> bool:
    return 0 < summary.steps_per_epoch <= summary.wasted_steps


def _expected_seconds(summary: RunSummary) -> float:
    return summary.duration_s * max(summary.total_steps, summary.steps) / max(summary.steps, 1)


def _tokens_per_example(summary: RunSummary, config: TrainingConfig) -> float:
    return summary.tokens / max(summary.steps * config.examples_per_step, 1)
