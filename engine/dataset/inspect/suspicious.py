"""What in a row that can be used looks like a mistake of its author; nobody else can tell."""

import re
from collections.abc import Iterator
from itertools import pairwise

from engine.dataset.inspect.other_template import OTHER_TEMPLATE, foreign_mark
from engine.dataset.jsonl.row import Row
from engine.dataset.jsonl.turns import answers_of, spoken
from engine.dataset.report import Fault
from engine.i18n import _
from engine.sanitize import one_line

_PLACEHOLDER = re.compile(
    r"\{\{ ?[a-z_][\w .-]{0,40}\}\}"
    r"|[\[<](?:insert|your|enter|add|inserir|insira|o teu|a tua|o seu|a sua)[ _-][^\]>\n]{1,40}[\]>]",
    re.IGNORECASE,
)
"""Such as {{name}} and [your name]."""
_STUBS = frozenset(
    (
        *(
            "nan",
            "n/a",
            "null",
            "none",
            "todo",
            "tbd",
            "fixme",
            "xxx",
            "{answer}",
            "{resposta}",
            "{response}",
        ),
        *("#n/a", "#ref", "#value", "#name", "#div/0", "#num", "#null", "undefined", "[object object]"),
        *("[deleted]", "[removed]"),
    )
)
"""What tables, programs and people write where an answer is missing, as the whole answer."""
_LONGEST_STUB = 20
_DOTS = re.compile(r"\.{2,}|…|[-–—]+")
_FILLING = re.compile(r"\s*(?:=[A-Z][A-Z.]+\(.*\Z|lorem ipsum\b)", re.IGNORECASE)
"""A formula of a spreadsheet that is the whole answer, and the text that typesetters fill a page with."""
_SECOND = "\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
"""Second bytes of two in UTF-8, as Latin-1 and Windows-1252 show them."""
_AFTER_WORD = "\xa0…–—»"
"""What may follow the end of a word in capitals, such as IRMÃ."""
_MISREAD = re.compile(
    f"(?<=[a-z])Ã[{_SECOND}]|Ã(?![{_AFTER_WORD}])[{_SECOND}](?=[a-z])|Â[ºª°«»§£]|â€[{_SECOND}]"
)
"""Such as Ã© for é."""
_FOREIGN = re.compile(r"(?!(.)\1{4})[À-ÖØ-öø-ÿ]{5}")
"""So many accented letters in a row, not all the same, are in no language that Windows-1252 is for."""


def doubts_about(file: str, row: Row) -> Iterator[Fault]:
    """Yield a warning for each kind of mistake that a row seems to have.

    Args:
        file: its name.
        row: of it.
    """
    answers: list[str] = [row.messages[index]["content"] for index in answers_of(row.messages)] or [row.text]
    if mark := _placeholder(answers):
        text = _("the answer has '{mark}', which looks like something still to be filled in")
        fix = _("fill it in: the model learns to write it as it stands")
        yield _doubt(file, row, "placeholder", text.format(mark=one_line(mark, 40)), fix)
    if mark := foreign_mark(row):
        text = _("its text has '{mark}', a mark of another program's template")
        fix = _("take such marks out: the chat template of the model sets what is asked and said apart")
        yield _doubt(file, row, OTHER_TEMPLATE, text.format(mark=one_line(mark, 40)), fix)
    if found := _misread(row):
        piece, text = found
        fix = _("write the file anew from its source as UTF-8: the model learns the letters as they stand")
        yield _doubt(file, row, "misread_text", text.format(piece=one_line(piece, 10)), fix)
    if len(row.messages) != 2 or row.messages[0]["role"] == row.messages[1]["role"]:
        yield from _order(file, row)


def _order(file: str, row: Row) -> Iterator[Fault]:
    """Look at who speaks after whom; results of tools may follow each other."""
    last = row.messages[-1]["role"] if row.messages else "assistant"
    if last != "assistant":
        text = _(
            "the conversation ends with a turn of role '{role}': nothing is learned after the last answer"
        )
        fix = _("add the answer to it, or take it out")
        yield _doubt(file, row, "no_last_answer", text.format(role=last), fix)
    for turn, after in pairwise(row.messages):
        role = turn["role"]
        if role == after["role"] and role != "tool" and not turn.get("tool_calls"):
            text = _("two turns of role '{role}' follow each other, the second begins with '{begin}'")
            fix = _("make them one turn, or add the turn that is missing between them")
            text = text.format(role=role, begin=one_line(spoken(after), 30))
            yield _doubt(file, row, "same_role_twice", text, fix)
            return


def _placeholder(answers: list[str]) -> str:
    """Return what in an answer stands for something that is still to be filled in; nothing if all is."""
    for text in answers:
        whole = text.strip() if len(text) < _LONGEST_STUB else ""
        if whole and (whole.strip(" .!?-").casefold() in _STUBS or _DOTS.fullmatch(whole)):
            return whole
        if found := _FILLING.match(text):
            return found[0].strip()
        if ("{{" in text or "[" in text or "<" in text) and (found := _PLACEHOLDER.search(text)):
            return found[0]
    return ""


def _misread(row: Row) -> tuple[str, str] | None:
    """Return letters that were read in another encoding than theirs, and what is said of them."""
    for text in (row.text, *(turn["content"] for turn in row.messages)):
        if text.isascii():
            continue
        if ("Ã" in text or "Â" in text or "â" in text) and (found := _MISREAD.search(text)):
            return found[0], _("its text has '{piece}': UTF-8 that was read as another encoding")
        if found := _FOREIGN.search(text):
            return found[0], _("its text has '{piece}': letters of another alphabet, read as Windows-1252")
    return None


def _doubt(file: str, row: Row, kind: str, text: str, fix: str) -> Fault:
    return Fault(file, row.line, None, kind, "warning", text, fix)
