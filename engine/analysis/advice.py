"""What to know and to change, recognised from the facts of a run: one small rule per situation."""

import math
from collections.abc import Callable

from engine import units
from engine.analysis.facts import RunSummary
from engine.analysis.outcome import FEW_STEPS, is_unreadable, outcome_of
from engine.analysis.rate import lower_rate
from engine.analysis.remedies import BROKEN, Advice, remedy, restart
from engine.config import TrainingConfig
from engine.i18n import _, ngettext
from engine.units import duration, typed_rate

# Sequence lengths worth trying.
_LENGTHS = (256, 384, 512)

_LONG_RUN_S = 3 * 3600.0  # a usual run of 3 epochs takes 2 to 3 hours
_SLOWED_DOWN = 0.6  # of the speed at the start


Rule = Callable[[RunSummary], Advice | None]


def memory(summary: RunSummary) -> Advice | None:
    """Close to the memory of the machine: a smaller batch with the same examples a step."""
    config, peak, total = summary.config, summary.peak_memory_gb, summary.machine_memory_gb
    if config is None or peak is None or total is None or peak < 0.9 * total:
        return None
    if peak > total:
        text = _("Peak memory of {peak:.1f} GB is more than the {total:.1f} GB of this machine.")
    else:
        text = _("Peak memory of {peak:.1f} GB is close to the {total:.1f} GB of this machine.")
    if config.batch_size > 1:
        half = config.batch_size // 2
        accumulation = math.ceil(config.examples_per_step / half)
        command = restart(batch_size=half, gradient_accumulation=accumulation)
    else:
        command = restart(max_seq_length=_shorter(config.max_seq_length))
    return Advice("memory", "attention", text.format(peak=peak, total=total), command)


def slow(summary: RunSummary) -> Advice | None:
    """A run of many hours: larger batches where memory allows, else shorter sequences."""
    config, expected = summary.config, _expected_seconds(summary)
    if config is None or expected < _LONG_RUN_S or summary.peak_memory_gb is None:
        return None
    if outcome_of(summary) in BROKEN:
        return None
    text = _("A run takes {time}. ").format(time=duration(expected))
    if summary.machine_memory_gb and summary.peak_memory_gb < 0.4 * summary.machine_memory_gb:
        text += _("Memory is left for a larger batch, which is often faster.")
        accumulation = max(1, config.gradient_accumulation // 2)
        command = restart(batch_size=2 * config.batch_size, gradient_accumulation=accumulation)
    elif _tokens_per_example(summary, config) > 0.5 * config.max_seq_length:
        shorter = _shorter(config.max_seq_length)
        text += _("Cutting examples at {length} makes it shorter; the data report tells which.").format(
            length=units.tokens(shorter)
        )
        command = restart(max_seq_length=shorter)
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
    """Skipped steps, and validations without a number: a lower learning rate, unless that was said."""
    parts = [
        ngettext(
            "{n} step had no finite loss or gradient and changed nothing.",
            "{n} steps had no finite loss or gradient and changed nothing.",
            summary.skipped_steps,
        ).format(n=summary.skipped_steps)
    ] * bool(summary.skipped_steps)
    parts += [
        ngettext(
            "{n} validation was not finite.", "{n} validations were not finite.", summary.failed_validations
        ).format(n=summary.failed_validations)
    ] * bool(summary.failed_validations)
    if not parts or summary.config is None:
        return None
    is_settled = summary.status != "finished" or remedy(summary) is not None
    command = "" if is_settled else restart(learning_rate=typed_rate(lower_rate(summary.config)))
    return Advice("non_finite", "attention", " ".join(parts), command)


def few_steps(summary: RunSummary) -> Advice | None:
    """Too short to judge."""
    if summary.steps >= FEW_STEPS or summary.status == "running" or is_unreadable(summary):
        return None
    if outcome_of(summary) in BROKEN:  # few steps were enough to judge
        return None
    text = ngettext(
        "A judgement and charts need about {m} steps and there is {n}.",
        "A judgement and charts need about {m} steps and there are {n}.",
        summary.steps,
    ).format(m=FEW_STEPS, n=summary.steps)
    return Advice("few_steps", "attention", text)


def no_validation(summary: RunSummary) -> Advice | None:
    """Nothing says which step was best."""
    if summary.best_step is not None or summary.failed_validations or summary.status != "finished":
        return None
    if is_unreadable(summary):
        return None
    text = _("Without a validation the best step is not known: put examples into data/valid.jsonl.")
    return Advice("no_validation", "attention", text, "mqlora-tui validate")


def unreadable(summary: RunSummary) -> Advice | None:
    """Damaged lines in the metrics file."""
    if not summary.unreadable_lines:
        return None
    text = ngettext(
        "{n} line of training_metrics.json cannot be read and is left out.",
        "{n} lines of training_metrics.json cannot be read and are left out.",
        summary.unreadable_lines,
    ).format(n=summary.unreadable_lines)
    return Advice("unreadable", "attention", text)


def resume(summary: RunSummary) -> Advice | None:
    """Not at its end: how to go on, if it can; one in the archive is brought back first."""
    if summary.is_archived:
        return None
    if summary.status not in ("paused", "interrupted", "failed") or outcome_of(summary) in BROKEN:
        return None
    match summary.way_on:
        case "checkpoint":
            text = _("The run goes on where its last checkpoint is.")
            return Advice("resume", "ok", text, "mqlora-tui train --resume")
        case "anew":
            text = _("There is no checkpoint to go on from: training begins anew.")
            return Advice("resume", "attention", text, "mqlora-tui train")
        case "damaged":
            text = _(
                "The run cannot go on: every checkpoint is damaged. Begin anew; the old run is archived."
            )
        case "other_version":
            text = _(
                "The run cannot go on with this version: another one wrote its last checkpoint. "
                "Use that one, or begin anew; the old run is archived."
            )
    return Advice("resume", "wrong", text, restart())


def live_remedy(summary: RunSummary) -> Advice | None:
    """Return the remedy where there is no use in waiting for the end."""
    return remedy(summary) if outcome_of(summary) in BROKEN else None


LIVE_RULES: tuple[Rule, ...] = (live_remedy, non_finite, memory, slowed_down)
RULES: tuple[Rule, ...] = (
    resume,
    non_finite,
    remedy,
    no_validation,
    memory,
    slowed_down,
    slow,
    few_steps,
    unreadable,
)


def _shorter(now: int) -> int:
    return max((length for length in _LENGTHS if length < now), default=max(16, now // 2))


def _expected_seconds(summary: RunSummary) -> float:
    return summary.duration_s * max(summary.total_steps, summary.steps) / max(summary.steps, 1)


def _tokens_per_example(summary: RunSummary, config: TrainingConfig) -> float:
    return summary.tokens / max(summary.steps * config.examples_per_step, 1)
