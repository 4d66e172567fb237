"""The final report as plain text of at most 78 columns, and as data for `--json`."""

import re
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine import units
from engine.analysis.facts import RunSummary
from engine.analysis.headline import sign_of
from engine.analysis.outcome import Outcome, outcome_of
from engine.analysis.verdict import Verdict
from engine.config import TrainingConfig
from engine.i18n import _, ngettext
from engine.sanitize import one_line
from engine.shell import complete, continued
from engine.symbols import SYMBOLS
from engine.trackers.installed import TITLES
from engine.units import duration, nats, signed, size

WIDTH = 78
_BAR = 32  # columns of the longest bar
_UNIT = re.compile(r"(\d) (?=\w)")  # a number stays on the line of its unit


def format_report(summary: RunSummary, verdict: Verdict) -> str:
    """Return the report: the verdict's headline, then everything of `format_details`."""
    verdict = verdict.ready_to_paste(summary.root)
    headline = _marked(SYMBOLS[sign_of(summary, verdict.level)], verdict.headline)
    return "\n".join(headline) + "\n" + format_details(summary, verdict)


def format_details(summary: RunSummary, verdict: Verdict, width: int = WIDTH) -> str:
    """Return what stands below the headline: figures, epochs, advice, next steps and files.

    Args:
        summary: of the run.
        verdict: on it.
        width: columns in which commands are continued with backslashes; wrapped they could not be pasted.
    """
    verdict = verdict.ready_to_paste(summary.root)
    sections = (
        _figures(summary),
        _epochs(summary),
        _advice(verdict, width),
        _next(verdict, width),
        _files(summary),
    )
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def as_dict(summary: RunSummary, verdict: Verdict) -> dict[str, Any]:
    """Return everything the report says as one JSON-ready object."""
    values = asdict(summary) | {
        "reason": complete(summary.reason, summary.root),
        "config": summary.config.model_dump(mode="json") if summary.config else None,
        "end_loss": summary.end_loss,
        "improvement_percent": summary.improvement_percent,
        "gap": summary.gap,
        "gap_growth": summary.gap_growth,
        "outcome": outcome_of(summary),
        "verdict": asdict(verdict.ready_to_paste(summary.root)),
    }
    ready: dict[str, Any] = _plain(values)
    return ready


def _figures(summary: RunSummary) -> list[str]:
    return [
        line
        for parts in (_losses(summary), _validation(summary), _costs(summary), _origin(summary))
        for line in _joined(parts)
    ]


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


_MOST_PERCENT = 100
"""A loss that more than doubled says more than its percentage."""
_UNJUDGED: frozenset[Outcome] = frozenset(
    {"zero_loss", "diverged", "odd_end", "too_short", "flat", "worsened"}
)
"""Of such a run nothing is said about overfitting."""


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
    parts = [text]
    if summary.overfitting in words and outcome_of(summary) not in _UNJUDGED:
        parts = [f"{text}, {words[summary.overfitting]}"]
        if summary.has_risen:
            rise = signed(summary.val_rise or 0.0, 2)
            parts.append(_("validation {rise} since its best").format(rise=rise))
    if summary.initial_gap is not None:
        parts.append(_("gap before training {gap}").format(gap=signed(summary.initial_gap, 2)))
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
        parts.append(_("learning rate {lr:g}").format(lr=summary.config.learning_rate))
        parts += _unusual(summary.config)
        if summary.config.init_adapter:
            folder = one_line(summary.config.init_adapter, 260)
            parts.append(_("went on from the adapter in {folder}").format(folder=folder))
        if summary.config.trackers:
            names = ", ".join(TITLES[name] for name in summary.config.trackers)
            parts.append(_("figures also in {names}").format(names=names))
    return parts


def _unusual(config: TrainingConfig) -> list[str]:
    """Return what a run did otherwise than most: optimizer, floor of the rate, weight of prompts."""
    parts = []
    if config.optimizer != "adamw":
        parts.append(_("optimizer {name}").format(name=config.optimizer))
    if config.min_learning_rate_ratio and config.lr_schedule != "constant":
        parts.append(_("down to {share:g} % of it").format(share=100 * config.min_learning_rate_ratio))
    if config.prompt_loss_weight:
        parts.append(_("prompts weigh {weight:g}").format(weight=config.prompt_loss_weight))
    return parts


def _epochs(summary: RunSummary) -> list[str]:
    shown = summary.epoch_losses
    if not shown:
        return []
    highest = max(loss for _e, loss in shown) or 1.0  # of losses that are all 0 no bar is drawn
    if len(shown) > 12:
        shown = shown[:6] + shown[-6:]
    return [_("   Mean training loss")] + [
        f"   {_('epoch {n}').format(n=epoch + 1):<12} {nats(loss):>6}  {_bar(loss / highest)}".rstrip()
        for epoch, loss in shown
    ]


def _bar(share: float) -> str:
    return "█" * round(_BAR * share)


def _advice(verdict: Verdict, width: int) -> list[str]:
    lines: list[str] = []
    for advice in verdict.advice:
        lines += _marked("·" if advice.level == "ok" else SYMBOLS[advice.level], advice.text)
        lines += continued(advice.command, width) if advice.command else []
    return lines


def _next(verdict: Verdict, width: int) -> list[str]:
    lines = [_("   Next")] if verdict.next_steps else []
    for step in verdict.next_steps:
        lines += [f"   {step.text}:", *continued(step.command, width)]
    return lines


def _files(summary: RunSummary) -> list[str]:
    lines = []
    for name in ("adapters", "training_dashboard.png", "training_detailed_analysis.png"):
        path = summary.folder / name
        if path.exists():
            lines.append(f" ✓ {summary.folder.name}/{name}{'/' if path.is_dir() else ''}")
    for checkpoint in summary.checkpoints:
        lines.append(f" ✓ {summary.folder.name}/{checkpoint.path.name}/  {size(checkpoint.bytes)}")
    return lines


def _marked(symbol: str, text: str) -> list[str]:
    return _wrapped(_UNIT.sub("\\1\N{NO-BREAK SPACE}", text), f" {symbol} ")


def _joined(parts: list[str]) -> list[str]:
    """Put facts side by side; a line breaks between two of them, not inside one."""
    return _wrapped(" · ".join(part.replace(" ", "\N{NO-BREAK SPACE}") for part in parts), "   ")


def _wrapped(text: str, start: str) -> list[str]:
    # Names and paths stay whole, so that a command in a sentence can be copied.
    lines = textwrap.wrap(
        text,
        WIDTH,
        initial_indent=start,
        subsequent_indent="   ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace("\N{NO-BREAK SPACE}", " ").removesuffix(" ·") for line in lines]


def _plain(value: Any) -> Any:
    """Turn paths into texts and tuples into lists, all the way down."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
