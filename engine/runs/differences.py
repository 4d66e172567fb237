"""In which settings runs differ, and whether two of them rest on the same."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine import setting_words
from engine.i18n import _
from engine.runs.record import RunRecord
from engine.sanitize import one_line

_WIDEST = 22
"""Of a column with a setting."""
UNKNOWN = "?"
"""What stands for a setting that is not known."""


@dataclass(frozen=True)
class Sameness:
    """Whether two runs share something that both rest on."""

    what: str
    is_same: bool | None
    """None where one of them does not tell."""


def differing_settings(records: Sequence[RunRecord]) -> tuple[str, ...]:
    """Return the names of the settings that differ between the runs whose settings are known."""
    known = [record.values for record in records if record.settings]
    names = dict.fromkeys(name for values in known for name in values)
    return tuple(
        name for name in names if any(values.get(name) != known[0].get(name) for values in known[1:])
    )


def setting_text(record: RunRecord, name: str) -> str:
    """Return a run's setting as it may be typed after `--set`, on one line."""
    values = record.values
    return one_line(setting_words.setting_text(name, values[name]), 100) if name in values else UNKNOWN


def widths_that_fit(records: Sequence[RunRecord], names: Sequence[str], room: int, gap: int) -> list[int]:
    """Return the widths of the columns of settings, as many of the first as there is room for.

    Args:
        records: that are listed.
        names: of the settings.
        room: columns that there are.
        gap: columns before each of them.
    """
    widths: list[int] = []
    for name in names:
        texts = (setting_text(record, name) for record in records if record.settings)
        width = min(_WIDEST, max(map(len, (name, *texts))))
        room -= gap + width
        if room < 0:
            break
        widths.append(width)
    return widths


def shared_origin(one: RunRecord, other: RunRecord) -> list[Sameness]:
    """Compare what two runs rest on, by its hashes."""
    names = {
        "data": _("data"),
        "train": "train.jsonl",
        "valid": "valid.jsonl",
        "base": _("base model"),
        "template": _("chat template or tokenizer"),
    }
    found = []
    for name, what in names.items():
        first, second = getattr(one.origin, name), getattr(other.origin, name)
        is_told = name not in ("train", "valid") or (first and second)  # else both files together tell all
        if is_told:
            found.append(Sameness(what, first == second if first and second else None))
    return found
