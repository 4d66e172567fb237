"""The final report as plain text of at most 78 columns, and as data for `--json`."""

import re
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine.analysis.facts import RunSummary
from engine.analysis.figures import figures_of
from engine.analysis.headline import sign_of
from engine.analysis.outcome import outcome_of
from engine.analysis.rate import rate_sign
from engine.analysis.verdict import Verdict
from engine.i18n import _, ngettext, number
from engine.shell import complete, continued
from engine.symbols import SYMBOLS
from engine.units import nats, size

WIDTH = 78
_BAR = 32  # columns of the longest bar
_MOST_EPOCHS = 12
_UNIT = re.compile(r"(\d) (?=\w)")  # a number stays on the line of its unit


def format_report(summary: RunSummary, verdict: Verdict) -> str:
    """Return the report: the verdict's headline, then everything of `format_details`."""
    verdict = verdict.ready_to_paste(summary.root)
    headline = _marked(SYMBOLS[sign_of(summary, verdict.level)], verdict.headline)
    sections = (_now(verdict), *_details(summary, verdict, WIDTH, told=verdict.command))
    return "\n".join(headline) + "\n" + _joined_sections(sections)


def format_details(summary: RunSummary, verdict: Verdict, width: int = WIDTH) -> str:
    """Return what stands below the headline: figures, epochs, advice, next steps and files.

    Args:
        summary: of the run.
        verdict: on it.
        width: columns in which commands are continued with backslashes; wrapped they could not be pasted.
    """
    verdict = verdict.ready_to_paste(summary.root)
    return _joined_sections(_details(summary, verdict, width))


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
        "rate_sign": rate_sign(summary),
        "verdict": asdict(verdict.ready_to_paste(summary.root)),
    }
    ready: dict[str, Any] = _plain(values)
    return ready


def _details(summary: RunSummary, verdict: Verdict, width: int, told: str = "") -> tuple[list[str], ...]:
    """Return the sections below the headline, without the command that is `told` already."""
    return (
        _figures(summary),
        _epochs(summary),
        _advice(verdict, width, told),
        _next(verdict, width, told),
        _files(summary),
    )


def _joined_sections(sections: tuple[list[str], ...]) -> str:
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def _now(verdict: Verdict) -> list[str]:
    """Return the one command to go on with."""
    return [_("   Do this next"), *continued(verdict.command, WIDTH)] if verdict.command else []


def _figures(summary: RunSummary) -> list[str]:
    return [line for parts in figures_of(summary) for line in _joined(parts)]


def _epochs(summary: RunSummary) -> list[str]:
    shown = summary.epoch_losses
    if not shown:
        return []
    highest = max(loss for _e, loss in shown) or 1.0  # of losses that are all 0 no bar is drawn
    lines = [
        f"   {_('epoch {n}').format(n=epoch + 1):<12} {nats(loss):>6}  {_bar(loss / highest)}".rstrip()
        for epoch, loss in shown
    ]
    if len(lines) > _MOST_EPOCHS:
        half = _MOST_EPOCHS // 2
        left_out = len(lines) - 2 * half
        text = ngettext("… {n} epoch between", "… {n} epochs between", left_out)
        lines[half:-half] = [f"   {text.format(n=number(left_out))}"]
    return [_("   Mean training loss"), *lines]


def _bar(share: float) -> str:
    return "█" * round(_BAR * share)


def _advice(verdict: Verdict, width: int, told: str) -> list[str]:
    lines: list[str] = []
    for advice in verdict.advice:
        lines += _marked("·" if advice.level == "ok" else SYMBOLS[advice.level], advice.text)
        lines += continued(advice.command, width) if advice.command not in ("", told) else []
    return lines


def _next(verdict: Verdict, width: int, told: str) -> list[str]:
    steps = [step for step in verdict.next_steps if step.command != told]
    lines = [_("   Next")] if steps else []
    for step in steps:
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
