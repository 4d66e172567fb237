"""Why a row is refused for a field that it has, or for what stands in its text, and the way out."""

import re
import shlex
from collections.abc import Iterable
from typing import Any

from engine.dataset.jsonl.field_names import plain
from engine.dataset.jsonl.fields import Sense, sense_of
from engine.dataset.jsonl.parse import RowError
from engine.dataset.report import LEFT_OUT
from engine.i18n import _
from engine.sanitize import one_line

_WORSE = ("reject", "dispreferred", "non_preferred")


def refuse_field(name: str, sense: Sense, where: str) -> RowError:
    """Return the refusal of a field that changes the meaning of its row or turn and cannot be honoured.

    Args:
        name: of the field.
        sense: what it means.
        where: the row or the turn, in words.
    """
    of_question = _("{where} has '{key}', which belongs to the question"), _("write it into the text")
    message, fix = {
        "preference": (
            _("{where} has '{key}': answers to choose between, not one to learn"),
            _("keep the one to learn as its text, and take the others out"),
        ),
        "media": (
            _("{where} has '{key}': a text model cannot see or hear it"),
            _("drop the row, or describe in the question what is there"),
        ),
        "reasoning": (
            _("{where} has thoughts in '{key}', which is not read"),
            _("write them into the answer as the model does, such as <think>…</think>, or take them out"),
        ),
        "context": of_question,
        "options": of_question,
    }.get(sense, (_("{where} has '{key}', which is not supported here"), _("take it out, or drop the row")))
    return RowError("unsupported_field", message.format(where=where, key=one_line(name, 30)), fix)


def refuse_preference(name: str, names: Iterable[str], learned: str, option: str = "--answer") -> RowError:
    """Return the refusal of a row with answers to choose between; the way out is the better one's name.

    Args:
        name: of the field with one of them.
        names: of the fields of the row.
        learned: the one whose answer is read, which is the better one where all others are called worse.
        option: of the import that names this.
    """
    better = next((other for other in names if sense_of(other) == "preference" and not is_worse(other)), "")
    fix = {
        "--answer": _("choose the answer on importing: mqlora-tui import FILE --answer {name}"),
        "--text": _("choose the answer on importing: mqlora-tui import FILE --text {name}"),
    }["--answer" if better else option].format(name=one_line(shlex.quote(better or learned), 60))
    return RowError("unsupported_field", refuse_field(name, "preference", _("the row")).message, fix)


def refuse_several(name: str) -> RowError:
    """Return the refusal of a field with several answers to one question."""
    return RowError(
        "several_answers",
        _("'{name}' holds several answers, of which one can be learned").format(name=one_line(name, 60)),
        _("write the one to learn as a text"),
    )


def refuse_header(value: dict[str, Any]) -> None:
    """Refuse a row that is the line with the names of columns once more, as in files that were joined.

    Raises:
        RowError: it is.
    """
    if len(value) > 1 and all(isinstance(cell, str) and cell.strip() == name for name, cell in value.items()):
        raise RowError(
            "repeated_header", _("the row holds the names of its own fields"), _("drop it: it is no data")
        )


def is_worse(name: str) -> bool:
    """Whether a field is called an answer that is not to be learned."""
    return any(part in plain(name) for part in _WORSE)


def not_to_be_learned(name: str) -> RowError:
    """Return why a row is left out that says so itself."""
    return RowError(
        LEFT_OUT,
        _("'{key}' says that the row is not to be learned: it is left out").format(key=one_line(name, 30)),
        _("nothing, or take the field out to learn the row"),
    )


_IMAGE = re.compile(
    r"<\|?image(_?\d+|_pad|_start)?\|?>|<img_context>|data:(image|audio|video)/[\w.+-]+;base64,[\w+/=]{8}"
    r"|(?-i:\[(IMG|IMAGE)([ _]?\d+|_BREAK|_END)?\])",
    re.IGNORECASE,
)
# These are also tags of HTML, about which a question may be: there they stand within a line.
_SOUND = re.compile(r"^\s*<\|?(video|audio)(_?\d+|_pad|_start)?\|?>", re.IGNORECASE | re.MULTILINE)


def may_show_media(text: str) -> bool:
    """Whether `refuse_media` has to look at a text."""
    return "<" in text or "[IM" in text or ";base64," in text


def refuse_media(text: str, where: str) -> None:
    """Refuse a text in which something stands for an image, a video or a sound.

    Raises:
        RowError: one does.
    """
    if may_show_media(text) and (found := _IMAGE.search(text) or _SOUND.search(text)):
        raise RowError(
            "unsupported_field",
            _("{where}: '{mark}' stands for what a text model cannot see or hear").format(
                where=where, mark=one_line(found[0].strip(), 30)
            ),
            _("drop the row, or describe in the question what is there"),
        )
