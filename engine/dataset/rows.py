"""Reading JSONL data files: every line becomes a row or a fault, none is lost."""

import difflib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from engine.dataset.fields import (
    NotUsed,
    is_excluded,
    not_to_be_learned,
    refuse_field,
    refuse_media,
    says_nothing,
    sense_of,
)
from engine.dataset.lines import Oddities, read_lines
from engine.dataset.parsing import RowError, parse_object
from engine.dataset.report import Fault
from engine.dataset.turns import (
    Conversation,
    Message,
    add_system,
    is_blank,
    read_tools,
    read_turns,
    require_answer,
    spoken,
)
from engine.i18n import _
from engine.text import one_line

import msgspec

Form = Literal["pair", "messages", "text"]
"""How a row is written."""
_FIELDS = ("prompt", "completion", "messages", "text")
_OF_FORM: dict[Form, frozenset[str]] = {
    "pair": frozenset({"prompt", "completion"}),
    "messages": frozenset({"messages"}),
    "text": frozenset({"text"}),
}
_IMPORTABLE = frozenset(
    (
        *("conversations", "conversation", "interactions", "dialog", "dialogue"),
        *("instruction", "instructions", "question", "questions", "pergunta"),
        *("answer", "answers", "output", "response", "resposta"),
    )
)
"""Fields of other forms, which `import` turns into rows."""


class Row(msgspec.Struct, frozen=True, gc=False):
    """One usable line: a conversation, or plain text to continue."""

    line: int
    """Line number from 1."""
    messages: tuple[Message, ...] = ()
    """Turns with `role` and `content`; a prompt/completion pair is two turns."""
    text: str = ""
    """Plain text, trained on as a whole; empty for a conversation."""
    untrained: tuple[int, ...] = ()
    """Indices of answers that are not to be learned."""
    tools: tuple[dict[str, Any], ...] = ()
    """Functions that the assistant may call, as chat templates take them."""

    def value(self, as_turns: bool = False) -> dict[str, Any]:
        """Return the row as an object to be written.

        Args:
            as_turns: write a question and its answer as `messages` too.
        """
        if self.text:
            return {"text": self.text}
        roles = [turn["role"] for turn in self.messages]
        is_pair = roles == ["user", "assistant"] and not self.tools and len(self.messages[1]) == 2
        if is_pair and not as_turns:
            question, answer = self.messages
            return {"prompt": question["content"], "completion": answer["content"]}
        turns = [
            {**turn, "weight": 0} if index in self.untrained else turn
            for index, turn in enumerate(self.messages)
        ]
        return {"messages": turns, **({"tools": list(self.tools)} if self.tools else {})}


class Forms:
    """Counts how the rows of a file are written."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self._counts: Counter[Form] = Counter()
        self._first: dict[Form, int] = {}

    def see(self, form: Form, line: int) -> None:
        """Count a row."""
        self._counts[form] += 1
        if form not in self._first:
            self._first[form] = line

    def faults(self, file: str) -> Iterator[Fault]:
        """Yield a warning where rows are written in several forms, at the first of the rarest."""
        if len(self._counts) > 1:
            shown = ", ".join(f"{count} {_FORM_NAMES[form]()}" for form, count in self._counts.most_common())
            yield Fault(
                file,
                self._first[self._counts.most_common()[-1][0]],
                None,
                "mixed_forms",
                "warning",
                _("rows are written in several forms: {forms}").format(forms=shown),
                _("see that none of them came in by mistake"),
            )


_FORM_NAMES: dict[Form, Callable[[], str]] = {
    "pair": lambda: _("prompt and completion"),
    "messages": lambda: _("messages"),
    "text": lambda: _("text"),
}


def read_rows(path: Path, begin: int = 1) -> Iterator[Row | Fault]:
    """Yield a `Row` or an error `Fault` for every line of `path` that is not blank; at the end what is odd.

    Args:
        path: of the file.
        begin: number of the first line to read.

    Raises:
        UserError: the file cannot be read at all.
    """
    odd, forms, not_used, name = Oddities(), Forms(), NotUsed(), path.name
    for item in read_lines(path, odd, begin):
        if isinstance(item, Fault):
            yield item
            continue
        line, raw = item
        yield _read(raw, line, name, forms, not_used)
    yield from odd.faults(name)
    yield from forms.faults(name)
    yield from not_used.faults(name)


def row_of(value: dict[str, Any], line: int) -> Row:
    """Return the row of an object that was read elsewhere.

    Raises:
        RowError: it cannot be used.
    """
    _form, row, _not_used = _row(value, line)
    _refuse_odd_characters(row)
    return row


def _read(raw: bytes, line: int, file: str, forms: Forms, not_used: NotUsed) -> Row | Fault:
    try:
        form, row, names = _row(parse_object(raw), line)
        if b"\\u" in raw:  # only escapes can write them
            _refuse_odd_characters(row)
    except RowError as error:
        return Fault(file, line, error.column, error.kind, "error", error.message, error.fix)
    forms.see(form, line)
    if names:
        not_used.see(names, line)
    return row


def _row(value: dict[str, Any], line: int) -> tuple[Form, Row, list[str]]:
    """Return the form of an object, its row and the names of the fields that are not used."""
    form = _form(value)
    if form == "text":
        text = _text_field(value, "text")
        refuse_media(text, _("the row"))
        extra = _Extra(value, form, [text])
        if extra.system or extra.tools:
            raise refuse_field(extra.beside, "tools", _("the row"))
        return form, Row(line, (), text), extra.not_used
    found = read_turns(value["messages"]) if form == "messages" else _pair(value)
    if len(value) == len(_OF_FORM[form]) and not found.not_used:  # as nearly all rows are
        require_answer(found)
        return form, Row(line, tuple(found.turns), untrained=tuple(found.untrained)), []
    extra = _Extra(value, form, [spoken(turn) for turn in found.turns])
    require_answer(found)
    turns, untrained = found.turns, found.untrained
    if extra.system:
        turns = add_system(turns, extra.system)
        shift = len(turns) - len(found.turns)
        untrained = [index + shift for index in untrained]
    row = Row(line, tuple(turns), "", tuple(untrained), extra.tools)
    return form, row, [*extra.not_used, *dict.fromkeys(found.not_used)]


def _form(value: dict[str, Any]) -> Form:
    if "messages" in value:
        return "messages"
    if "prompt" in value or "completion" in value:
        return "pair"
    if "text" in value:
        return "text"
    raise _missing("prompt", value)


class _Extra:
    """What stands beside the fields of a row's form."""

    def __init__(self, value: dict[str, Any], form: Form, texts: list[str]) -> None:
        """Look at each field.

        Args:
            value: the row.
            form: that it is written in.
            texts: of its turns, or its plain text.

        Raises:
            RowError: a field changes the meaning of the row and cannot be honoured.
        """
        self.system = ""
        self.tools: tuple[dict[str, Any], ...] = ()
        self.beside = ""
        """Name of the field with the system text or the tools."""
        self.not_used: list[str] = []
        for name, item in value.items():
            if name not in _OF_FORM[form] and not says_nothing(item):
                self._see(name, item, texts)

    def _see(self, name: str, value: Any, texts: list[str]) -> None:
        sense, where = sense_of(name), _("the row")
        if name in _FIELDS:
            _refuse_other_form(name, value, texts)
            self.not_used.append(name)
        elif sense == "system" and isinstance(value, str):
            if self.system and self.system.split() != value.split():
                raise RowError("two_systems", _("the row has two system texts"), _("keep one of them"))
            self.system, self.beside = value, name
        elif sense == "tools":
            self.tools, self.beside = read_tools(value, name), name
        elif sense in ("trained", "weight", "label"):
            if is_excluded(name, sense, value, where):
                raise not_to_be_learned(name)
            if sense == "label" and value is not True:
                self.not_used.append(name)
        elif sense and not isinstance(value, bool | int | float):
            raise refuse_field(name, sense, where)
        else:
            self.not_used.append(name)


def _refuse_other_form(name: str, value: Any, texts: list[str]) -> None:
    """Refuse a second form in a row, unless it only says once more what the first one does.

    Raises:
        RowError: it says something else.
    """
    if isinstance(value, str) and (
        value in texts or (name == "text" and all(text.strip() in value for text in texts))
    ):
        return
    raise RowError(
        "two_forms",
        _("the row is written in two forms: it also has '{name}'").format(name=name),
        _("keep one of them"),
    )


def _pair(value: dict[str, Any]) -> Conversation:
    """Read prompt and completion: two texts, or two lists of turns, of which the second is learned."""
    prompt, completion = value.get("prompt"), value.get("completion")
    if not isinstance(prompt, list) and not isinstance(completion, list):
        question, answer = _text_field(value, "prompt"), _text_field(value, "completion")
        refuse_media(question, _("the row"))
        return Conversation([{"role": "user", "content": question}, {"role": "assistant", "content": answer}])
    before = _side(value, "prompt", "user")
    after = _side(value, "completion", "assistant")
    learned_before = [index for index, turn in enumerate(before.turns) if turn["role"] == "assistant"]
    begin = len(before.turns)
    return Conversation(
        before.turns + after.turns,
        learned_before + [begin + index for index in after.untrained],
        before.not_used + after.not_used,
    )


def _side(value: dict[str, Any], name: str, role: str) -> Conversation:
    if isinstance(value.get(name), list):
        return read_turns(value[name], name)
    return Conversation([{"role": role, "content": _text_field(value, name)}])


def _text_field(value: dict[str, Any], name: str) -> str:
    if name not in value:
        raise _missing(name, value)
    text = value[name]
    if not isinstance(text, str):
        raise RowError(
            "wrong_type", _("'{name}' is not text").format(name=name), _("put the value in double quotes")
        )
    if is_blank(text):
        raise RowError(
            f"empty_{name}", _("'{name}' is empty").format(name=name), _("write it or drop the row")
        )
    return text


def _refuse_odd_characters(row: Row) -> None:
    """Refuse zero and lone surrogates, which JSON's escapes can write and tokenizers stumble over."""
    text = "".join([row.text, *(spoken(turn) for turn in row.messages)])
    if "\0" in text:
        raise RowError("nul", _("the text holds a zero character (\\u0000)"), _("take it out"))
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise RowError(
            "invalid_text",
            _("the text holds half a character (a lone \\ud800 to \\udfff)"),
            _("write the whole character"),
        ) from None


def _missing(name: str, value: dict[str, Any]) -> RowError:
    """Return the fault of a row without a field, with the advice to rename one that is nearly right."""
    wanted = _FIELDS if value.keys().isdisjoint(_FIELDS) else (name,)
    fix = _("add it, or use messages or text")
    if not _IMPORTABLE.isdisjoint(key.lower() for key in value):
        fix = _("let the file be turned into rows: mqlora-tui import FILE")
    for key in value:
        near = difflib.get_close_matches(key.lower(), wanted, n=1, cutoff=0.7)
        if near and key not in _FIELDS:
            fix = _("rename '{key}' to '{name}'?").format(key=one_line(key, 30), name=near[0])
            break
    return RowError("missing_field", _("'{name}' is missing").format(name=name), fix)
