"""The figures of a run, each a short fact in words."""

from engine import units
from engine.analysis.facts import RunSummary
from engine.analysis.outcome import Outcome, outcome_of
from engine.analysis.rate import rate_sign
from engine.config import TrainingConfig
from engine.i18n import _, ngettext
from engine.sanitize import one_line
from engine.trackers.installed import TITLES
from engine.units import duration, nats, rate, signed

_MOST_PERCENT = 100
"""A loss that more than doubled says more than its percentage."""
_UNJUDGED: frozenset[Outcome] = frozenset(
    {"zero_loss", "diverged", "odd_end", "too_short", "flat", "worsened"}
)
"""Of such a run nothing is said about overfitting."""


def figures_of(summary: RunSummary) -> tuple[list[str], ...]:
    """Return the facts that belong side by side: losses, validation, chance, costs, what it was made with."""
    return (
        _losses(summary),
        _validation(summary),
        _noise(summary),
        _costs(summary),
        _origin(summary),
    )


def _losses(summary: RunSummary) -> list[str]:
    if summary.first_loss is None or summary.last_loss is None:
        return []
    text = _("training loss {first} → {last}").format(
        first=nats(summary.first_loss), last=nats(summary.last_loss)
    )
    improvement = summary.improvement_percent
    if improvement is not None and improvement >= -_MOST_PERCENT:
        text += f" ({signed(-improvement, 0)} %)"
    return [text]


def _validation(summary: RunSummary) -> list[str]:
    if summary.best_val_loss is None or summary.last_val_loss is None:
        failed = summary.failed_validations
        text = ngettext("{n} validation, not finite", "{n} validations, none finite", failed)
        return [text.format(n=failed)] if failed else []
    text = _("validation {best} at best, {last} at the end")
    if summary.initial_val_loss is not None:
        text = _("validation {initial} before training, then {best} at best, {last} at the end")
    last = _("not finite") if summary.failed_at_end else nats(summary.last_val_loss)
    initial = nats(summary.initial_val_loss or 0.0)
    parts = [text.format(initial=initial, best=nats(summary.best_val_loss), last=last)]
    return parts if summary.gap is None or summary.failed_at_end else [*parts, *_gap(summary, summary.gap)]


def _gap(summary: RunSummary, gap: float) -> list[str]:
    """Return the gap with what it tells, and what of it was there from the start."""
    text = _("gap {gap}").format(gap=signed(gap, 2))
    words = {
        "none": _("no overfitting"),
        "slight": _("slight overfitting"),
        "significant": _("significant overfitting"),
    }
    if outcome_of(summary) == "still_falling":  # whoever is told to train on is not told of overfitting
        words["slight"] = _("wider than before, but validation still gains")
    parts = [text]
    if summary.overfitting in words and outcome_of(summary) not in _UNJUDGED:
        parts = [f"{text}, {words[summary.overfitting]}"]
        if summary.has_risen:
            rise = signed(summary.val_rise or 0.0, 2)
            parts.append(_("validation {rise} since its best").format(rise=rise))
    if summary.gap_margin is not None and summary.gap_growth is not None:
        growth, margin = signed(summary.gap_growth, 2), nats(summary.gap_margin)
        parts.append(_("the gap changed by {growth} ± {margin}").format(growth=growth, margin=margin))
    if summary.initial_gap is not None:
        text = _("gap before training {gap}")
        if summary.initial_gap < 0:
            text = _("gap before training {gap}, taken for none")
        parts.append(text.format(gap=signed(summary.initial_gap, 2)))
    return parts


def _costs(summary: RunSummary) -> list[str]:
    parts = [duration(summary.duration_s)] if summary.steps else []
    if summary.tokens_per_epoch is not None:
        parts.append(_("{tokens} an epoch").format(tokens=units.tokens(summary.tokens_per_epoch)))
    if summary.tokens_per_second is not None:
        parts.append(_("{n:,.0f} tok/s in training steps").format(n=summary.tokens_per_second))
    if summary.peak_memory_gb is not None:
        text = (
            _("peak {n:.1f} GB")
            if summary.ranks == 1
            else _("peak {n:.1f} GB in the first of {count} processes")
        )
        parts.append(text.format(n=summary.peak_memory_gb, count=summary.ranks))
    return parts


def _origin(summary: RunSummary) -> list[str]:
    parts = [one_line(summary.model, 260)] if summary.model else []
    if summary.status == "finished" and "early" in summary.reason:
        parts.append(_("stopped early: validation got no better"))
    if summary.config:
        epochs = summary.config.num_epochs
        parts.append(ngettext("{n} epoch", "{n} epochs", epochs).format(n=epochs))
        if summary.is_cut_short:
            steps = summary.config.max_steps
            parts.append(ngettext("at most {n:,} step", "at most {n:,} steps", steps).format(n=steps))
        parts += [*_rate(summary, summary.config.learning_rate), *_unusual(summary.config)]
        if summary.config.init_adapter:
            folder = one_line(summary.config.init_adapter, 260)
            parts.append(_("went on from the adapter in {folder}").format(folder=folder))
        if summary.config.trackers:
            names = ", ".join(TITLES[name] for name in summary.config.trackers)
            parts.append(_("figures also in {names}").format(names=names))
    return parts


def _unusual(config: TrainingConfig) -> list[str]:
    """Return what a run did otherwise than most: adapter, optimizer, floor of the rate, prompts' weight."""
    parts = ["DoRA"] if config.fine_tune_type == "dora" else []
    if config.optimizer != "adamw":
        parts.append(_("optimizer {name}").format(name=config.optimizer))
    if config.min_learning_rate_ratio and config.lr_schedule != "constant":
        parts.append(_("down to {share:g} % of it").format(share=100 * config.min_learning_rate_ratio))
    if config.prompt_loss_weight:
        parts.append(_("prompts weigh {weight:g}").format(weight=config.prompt_loss_weight))
    return parts


def _rate(summary: RunSummary, now: float) -> list[str]:
    """Return the learning rate, what its curve tells of it, and the rule of thumb beside it."""
    text = _("learning rate {lr}").format(lr=rate(now))
    signs = {"high": _("too high by its curve"), "low": _("too low by its curve")}
    if sign := rate_sign(summary):
        text += f" ({signs[sign]})"
    if summary.usual_rate is None or summary.hidden is None:
        return [text]
    usual = ngettext(
        "rule of thumb {lr} (width {hidden:,}, {steps:,} step)",
        "rule of thumb {lr} (width {hidden:,}, {steps:,} steps)",
        summary.total_steps,
    ).format(lr=rate(float(f"{summary.usual_rate:.0e}")), hidden=summary.hidden, steps=summary.total_steps)
    return [text, usual]


def _noise(summary: RunSummary) -> list[str]:
    """Return the gain of the best over the untrained model, with its interval."""
    if summary.gain is None or not summary.has_helped:
        return []
    text = ngettext(
        "better by {gain} ± {margin} (95 %, {n} row)",
        "better by {gain} ± {margin} (95 %, {n} rows)",
        summary.validation_rows or 0,
    )
    gain, margin = nats(summary.gain.mean), nats(summary.gain.margin)
    return [text.format(gain=gain, margin=margin, n=summary.validation_rows)]
