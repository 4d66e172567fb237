"""What an evaluation says, in sentences: for the command line and for screens."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine import units
from engine.evaluation.general_texts import FORGOTTEN
from engine.evaluation.request import BASE, BEST, LAST, SAME
from engine.evaluation.results import Change, Evaluation, VariantResult
from engine.i18n import _, ngettext, number
from engine.sanitize import one_line
from engine.units import signed

_FEW_ROWS = 20
"""Below this a bootstrap's intervals are rough, as far as they are worth anything."""
_LISTED = 5
_LOPSIDED = 0.2
"""How far an interval's middle may be from the value, in halves of its width, before ± would mislead."""
LEAST_CHANGE = 0.005
"""Change of a loss, nats per token, below which it is none: it rounds to 0.00."""
SHOWN = 5
"""Answers that are shown of those that gained least, and of those that gained most."""


@dataclass(frozen=True)
class Remark:
    """A sentence with its weight."""

    level: Literal["ok", "note", "warning", "error"]
    text: str


def headline(found: Evaluation) -> str:
    """Say on what was evaluated."""
    kinds = {
        "test": _("{rows} of {file}, held out, with {tokens} that count"),
        "valid": _("{rows} of {file}, which also chose the best step, with {tokens} that count"),
        "given": _("{rows} of {file}, with {tokens} that count"),
    }
    source = found.source if _is_of_run(found) else "given"
    return kinds[source].format(
        rows=units.rows(len(found.lines)),
        file=one_line(Path(found.file).name, 80),
        tokens=units.tokens(found.tokens),
    )


def remarks_on_rows(found: Evaluation) -> Iterator[Remark]:
    """Yield what makes the figures worth less than they seem."""
    if found.left_out:
        text = ngettext(
            "{n} row cannot be used and is left out ({lines})",
            "{n} rows cannot be used and are left out ({lines})",
            len(found.left_out),
        )
        yield Remark("warning", text.format(n=number(len(found.left_out)), lines=_lines(found.left_out)))
    if found.leaked:
        text = ngettext(
            "{n} row is, or nearly is, also among the training rows ({lines}): the figures are too good",
            "{n} rows are, or nearly are, also among the training rows ({lines}): the figures are too good",
            len(found.leaked),
        )
        yield Remark("warning", text.format(n=number(len(found.leaked)), lines=_lines(found.leaked)))
    if found.source == "valid" and _is_of_run(found):
        text = _("rows that chose nothing tell more: put some into data/test.jsonl, which no run reads")
        yield Remark("note", text)
    if 1 < len(found.lines) < _FEW_ROWS:
        yield Remark("note", _("so few rows say little"))
    if {each.name for each in found.variants} == {BASE, LAST}:
        text = _("there is no adapter in adapters/, where the best one should be: only the last is compared")
        yield Remark("warning", text)
    if found.answers and not found.asked:
        yield Remark("note", _("none of these rows asks anything that could be answered"))


def _is_of_run(found: Evaluation) -> bool:
    """Whether an adapter is the project's own, whose best step its validation rows have chosen."""
    names = {part for each in found.variants[1:] for part in each.name.split(SAME)}
    return all(name in (BEST, LAST) or name.startswith("checkpoint_") for name in names)


def _lines(lines: Sequence[int]) -> str:
    """Name the first lines."""
    shown = ", ".join(map(str, lines[:_LISTED])) + (", …" if len(lines) > _LISTED else "")
    return ngettext("line {lines}", "lines {lines}", len(lines)).format(lines=shown)


def called(name: str) -> str:
    """Return the name of a variant in the user's language, harmless for a terminal."""
    names = {BASE: _("base"), BEST: _("best"), LAST: _("last")}
    return one_line(SAME.join(names.get(part, part) for part in name.split(SAME)), 200)


def label(result: VariantResult) -> str:
    """Return how a variant is called in a table: its name, and its step where the name does not tell it."""
    name = called(result.name.removeprefix("checkpoint_"))
    if result.step is None or "_step" in name:
        return name
    return _("{name}, step {step}").format(name=name, step=result.step)


def verdicts(found: Evaluation) -> Iterator[Remark]:
    """Yield for each adapter whether it is better than the base model, and what it forgot."""
    for result in found.variants[1:]:
        if result.change:
            name = label(result)
            yield Remark(_level(result.change), f"{name}: {change_words(result.change)}")
        if forgot := result.general.change:
            yield from _forgotten(label(result), forgot)


def _level(change: Change) -> Literal["ok", "warning", "error"]:
    if not change.is_certain or abs(change.loss.value) < LEAST_CHANGE:
        return "warning"
    return "ok" if change.loss.value < 0 else "error"


def change_words(change: Change) -> str:
    """Say by how much an adapter is better or worse than its base model, and whether that may be chance."""
    rows, by = units.rows(change.rows), plus_minus(change)
    if abs(change.loss.value) < LEAST_CHANGE:
        return _("as good as the base model on {rows}: {change} nats a token").format(rows=rows, change=by)
    if change.loss.value < 0:
        text = _("better than the base model on {better} of {rows}, {change} nats a token")
    else:
        text = _("worse than the base model: better on {better} of {rows}, {change} nats a token")
    text = text.format(better=number(change.better), rows=rows, change=by)
    return text if change.is_certain else _("{text}: that may be chance").format(text=text)


def plus_minus(change: Change) -> str:
    """Return a change with its interval, such as "-1.93 ± 0.11", or "-1.06 (-2.73 to -0.02)" if lopsided."""
    value, low, high = change.loss.value, change.loss.low, change.loss.high
    if low is None or high is None:
        return signed(value, 2)
    half = (high - low) / 2
    if abs((low + high) / 2 - value) > max(LEAST_CHANGE, _LOPSIDED * half):
        between = _("{low} to {high}").format(low=signed(low, 2), high=signed(high, 2))
        return f"{signed(value, 2)} ({between})"
    return f"{signed(value, 2)} ± {number(half, '.2f')}"


def _forgotten(name: str, change: Change) -> Iterator[Remark]:
    if change.loss.value >= FORGOTTEN:
        text = _(
            "{name}: {change} nats a token on general texts: it forgot some of what the base model knew; "
            "fewer epochs or a lower learning rate keep more"
        )
        yield Remark("warning", text.format(name=name, change=plus_minus(change)))


def answer_remarks(found: Evaluation) -> Iterator[Remark]:
    """Yield what is wrong with the answers of the adapters."""
    for result in found.variants[1:]:
        figures, count = result.figures, len(found.asked)
        if figures is None:
            continue
        name = label(result)
        if unended := count - round(figures.stopped * count):
            text = ngettext(
                "{name}: {n} of {count} answer did not stop by itself",
                "{name}: {n} of {count} answers did not stop by themselves",
                count,
            )
            yield Remark("warning", text.format(name=name, n=unended, count=count))
        if looping := round(figures.loops * count):
            text = ngettext(
                "{name}: {n} of {count} answer says the same over and over",
                "{name}: {n} of {count} answers say the same over and over",
                count,
            )
            yield Remark("warning", text.format(name=name, n=looping, count=count))
        lines = [each.copy_of for each in result.answers if each.copy_of is not None]
        if lines:
            text = ngettext(
                "{name}: {n} answer is that of another training row ({lines})",
                "{name}: {n} answers are those of other training rows ({lines})",
                len(lines),
            )
            yield Remark("warning", text.format(name=name, n=len(lines), lines=_lines(lines)))


def worst_and_best(found: Evaluation, variant: int = 1) -> tuple[list[int], list[int]]:
    """Return the answered rows whose loss gained least, the worst first, and most, the best first.

    Args:
        found: the evaluation.
        variant: of the adapter, from 1.

    Returns:
        Places in `Evaluation.asked`; no row is in both.
    """
    change = {place: row_change(found, place, variant) for place in range(len(found.asked))}
    order = sorted(change, key=change.__getitem__)
    best = [place for place in order[: min(SHOWN, (len(order) + 1) // 2)] if change[place] < 0]
    worst = [place for place in reversed(order) if place not in best]
    return worst[:SHOWN], best


def row_change(found: Evaluation, place: int, variant: int = 1) -> float:
    """Return what an adapter changes of the loss of an answered row, nats per token."""
    row = found.asked[place].row
    return found.variants[variant].row_losses[row] - found.variants[0].row_losses[row]
