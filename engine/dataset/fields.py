"""What the fields of a row and of a turn mean, besides those that hold its texts.

One list for reading, `validate`, `train` and `import`: a field that changes what a row means is honoured
or refused, never passed over. All others are named as not used.
"""

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Literal

from engine.dataset.names import SYSTEMS, part_of, plain
from engine.dataset.parsing import RowError
from engine.dataset.report import LEFT_OUT, Fault
from engine.i18n import _, ngettext
from engine.text import one_line

Sense = Literal[
    "system", "tools", "trained", "weight", "label", "preference", "media", "reasoning", "context"
]
"""Instructions for the assistant; functions it may call; whether the row or turn is to be learned; how much
it counts; whether the answer is a good one; answers to choose between; what is no text; thoughts before an
answer; what belongs to the question."""

_NAMES: dict[Sense, tuple[str, ...]] = {
    "system": SYSTEMS,
    "tools": ("tools", "functions", "available_tools"),
    "trained": ("train", "training", "trainable", "loss"),
    "weight": ("weight", "loss_weight", "sample_weight"),
    "label": ("label", "kto_tag"),
    "preference": (
        *("chosen", "rejected", "preferred", "dispreferred"),
        *("preferred_output", "non_preferred_output"),
    ),
    "media": (
        *("image", "images", "audio", "audios", "video", "videos", "image_url", "image_path", "img"),
        *("imagem", "imagens"),
    ),
    "reasoning": (
        *("reasoning", "reasoning_content", "thinking", "thinking_content", "thought", "thoughts", "think"),
        *("rationale", "chain_of_thought", "cot", "complex_cot", "raciocinio"),
    ),
}
_SENSES: dict[str, Sense] = {name: sense for sense, names in _NAMES.items() for name in names}
_PREFERENCE = re.compile(
    r"(chosen|rejected)_(?!score|rating|model)|(?!score|rating|reward|logp).*_(chosen|rejected)$"
)
"""Other names of answers to choose between, and not of what they are worth."""
_NO = ("false", "no", "n", "0", "off", "não", "nao", "bad", "rejected", "mau", "má")
_YES = ("true", "yes", "y", "1", "on", "sim", "good", "chosen", "bom", "boa")
MOST_NAMED = 12
"""Fields that are named as not used, by how often they occur."""


@lru_cache(maxsize=1024)
def sense_of(name: str) -> Sense | None:
    """Return what a field of this name means; None where it changes nothing."""
    bare = plain(name)
    if sense := _SENSES.get(bare):
        return sense
    if part_of(name) in ("input", "context", "history"):
        return "context"
    return "preference" if _PREFERENCE.match(bare) else None


def says_nothing(value: Any) -> bool:
    """Whether a field is as good as not there: null, empty or blank."""
    return value is None or (isinstance(value, str | list | dict) and not value) or _is_blank(value)


def _is_blank(value: Any) -> bool:
    return isinstance(value, str) and not value.strip()


def answer_of(value: Any) -> bool | None:
    """Return what a field answers that is a yes or a no; None where it is neither."""
    if isinstance(value, bool | int | float):
        return bool(value) if value in (0, 1) else None
    text = value.strip().lower() if isinstance(value, str) else ""
    return True if text in _YES else False if text in _NO else None


def is_excluded(name: str, sense: Sense, value: Any, where: str) -> bool:
    """Whether a field says that its row or turn is not to be learned.

    Args:
        name: of the field.
        sense: "trained", "weight" or "label".
        value: of the field.
        where: the row or the turn, in words.

    Raises:
        RowError: a weight that is neither 0 nor 1: all examples count the same here.
    """
    if sense != "weight":
        return answer_of(value) is False
    if isinstance(value, bool) or (isinstance(value, str) and answer_of(value) is not None):
        return answer_of(value) is False
    try:
        weight = float(value)
    except (TypeError, ValueError):
        weight = -1.0
    if weight not in (0.0, 1.0):
        raise RowError(
            "unsupported_field",
            _("{where} has '{key}' {value}: only 0 and 1 can be told apart here").format(
                where=where, key=one_line(name, 30), value=one_line(str(value), 20)
            ),
            _("take it out, or give the weight 0 or 1"),
        )
    return weight == 0.0


def refuse_field(name: str, sense: Sense, where: str) -> RowError:
    """Return the refusal of a field that changes the meaning of its row or turn and cannot be honoured.

    Args:
        name: of the field.
        sense: what it means.
        where: the row or the turn, in words.
    """
    message, fix = {
        "preference": (
            _("{where} has '{key}': answers to choose between, not one to learn"),
            _("choose the answer on importing: mqlora-tui import FILE --answer {better}"),
        ),
        "media": (
            _("{where} has '{key}': a text model cannot see or hear it"),
            _("drop the row, or describe in the question what is there"),
        ),
        "reasoning": (
            _("{where} has thoughts in '{key}', which is not read"),
            _("write them into the answer as the model does, such as <think>…</think>, or take them out"),
        ),
        "context": (
            _("{where} has '{key}', which belongs to the question"),
            _("write it into the prompt, or let that be done: mqlora-tui import FILE"),
        ),
    }.get(sense, (_("{where} has '{key}', which is not supported here"), _("take it out, or drop the row")))
    better = name
    for worse, word in (
        ("rejected", "chosen"),
        ("non_preferred", "preferred"),
        ("dispreferred", "preferred"),
    ):
        better = better.replace(worse, word)
    fix = fix.format(better=one_line(shlex.quote(better), 60)) if sense == "preference" else fix
    return RowError("unsupported_field", message.format(where=where, key=one_line(name, 30)), fix)


def not_to_be_learned(name: str) -> RowError:
    """Return why a row is left out that says so itself."""
    return RowError(
        LEFT_OUT,
        _("'{key}' says that the row is not to be learned: it is left out").format(key=one_line(name, 30)),
        _("nothing, or take the field out to learn the row"),
    )


_IMAGE = re.compile(r"<\|?image(_?\d+|_pad|_start)?\|?>|<img_context>", re.IGNORECASE)
# These are also tags of HTML, about which a question may be: there they stand within a line.
_SOUND = re.compile(r"^\s*<\|?(video|audio)(_?\d+|_pad|_start)?\|?>", re.IGNORECASE | re.MULTILINE)


def refuse_media(text: str, where: str) -> None:
    """Refuse a text in which something stands for an image, a video or a sound.

    Raises:
        RowError: one does.
    """
    if "<" in text and (found := _IMAGE.search(text) or _SOUND.search(text)):
        raise RowError(
            "unsupported_field",
            _("{where}: '{mark}' stands for what a text model cannot see or hear").format(
                where=where, mark=one_line(found[0].strip(), 30)
            ),
            _("drop the row, or describe in the question what is there"),
        )


class NotUsed:
    """Counts the fields of a file that are not used."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self._counts: Counter[str] = Counter()
        self._first = 0

    def see(self, names: Iterable[str], line: int) -> None:
        """Count the fields of a row."""
        self._counts.update(names)
        self._first = self._first or line

    def faults(self, file: str) -> Iterator[Fault]:
        """Yield one note that names them, if there are any."""
        if not self._counts:
            return
        named = [f"{one_line(name, 30)} ({count:,})" for name, count in self._counts.most_common(MOST_NAMED)]
        left = len(self._counts) - len(named)
        more = ngettext(" and {n} more", " and {n} more", left).format(n=f"{left:,}") if left else ""
        yield Fault(
            file,
            self._first,
            None,
            "unused_fields",
            "note",
            _("fields that are not used, and in how many rows: {names}").format(
                names=", ".join(named) + more
            ),
            _("nothing, where they are not part of question or answer"),
        )
