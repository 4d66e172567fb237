"""What Go's text/template (https://pkg.go.dev/text/template) makes of our Modelfiles' actions.

`{{- ` trims the white space of the text before an action, ` -}}` that after it. Actions: a string,
`.Content`, `.System`, `range .Messages`, `if eq .Role "…"`, `if not .System`, `else if …`, `else` and `end`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

_ACTION = re.compile(r'\{\{(- )?\s*((?:"(?:[^"\\\n]|\\.)*"|[^"}])*?)\s*( -)?\}\}')


def go_render(template: str, messages: Sequence[Mapping[str, str]]) -> str:
    """Return what Ollama writes for a conversation: `.System` is the texts of all its system turns."""
    system = "\n\n".join(turn["content"] for turn in messages if turn["role"] == "system")
    pieces = _pieces(template)
    turns = [{"Role": turn["role"], "Content": turn["content"]} for turn in messages]
    text = _block(pieces, {"System": system, "Messages": turns}, is_shown=True)
    assert not pieces, pieces
    return text


def _pieces(template: str) -> list[tuple[bool, str]]:
    """Return texts and actions in their order; whether each is an action."""
    found: list[tuple[bool, str]] = []
    place, trims = 0, False
    for match in _ACTION.finditer(template):
        text = template[place : match.start()]
        assert "{{" not in text and "}}" not in text, text
        text = text.lstrip() if trims else text
        found += [(False, text.rstrip() if match[1] else text), (True, match[2])]
        place, trims = match.end(), bool(match[3])
    rest = template[place:]
    assert "{{" not in rest, rest
    return [*found, (False, rest.lstrip() if trims else rest)]


def _block(pieces: list[tuple[bool, str]], data: Mapping[str, Any], is_shown: bool) -> str:
    """Take pieces up to the `else` or `end` of this block, which stays, and return its text."""
    text = ""
    while pieces and not (pieces[0][0] and pieces[0][1].split(" ")[0] in ("end", "else")):
        is_action, piece = pieces.pop(0)
        if not is_action:
            text += piece if is_shown else ""
        elif piece.startswith("range "):
            text += _range(pieces, data[piece.removeprefix("range .")] if is_shown else ())
        elif piece.startswith("if "):
            text += _choice(pieces, piece, data, is_shown)
        elif is_shown:
            text += _value(piece, data)
    return text


def _range(pieces: list[tuple[bool, str]], items: Sequence[Mapping[str, Any]]) -> str:
    body = list(pieces)
    _block(pieces, {}, is_shown=False)
    assert pieces.pop(0) == (True, "end")
    return "".join(_block(list(body), item, is_shown=True) for item in items)


def _choice(pieces: list[tuple[bool, str]], condition: str, data: Mapping[str, Any], is_shown: bool) -> str:
    is_taken, text = is_shown and _holds(condition, data), ""
    text = _block(pieces, data, is_taken)
    while (word := pieces.pop(0)[1]) != "end":
        condition = word.removeprefix("else").strip()
        now = is_shown and not is_taken and (not condition or _holds(condition, data))
        text += _block(pieces, data, now)
        is_taken = is_taken or now
    return text


def _holds(condition: str, data: Mapping[str, Any]) -> bool:
    if condition == "if not .System":
        return not data["System"]
    name, _space, value = condition.removeprefix("if eq .").partition(" ")
    return bool(data[name] == json.loads(value))


def _value(piece: str, data: Mapping[str, Any]) -> str:
    return str(json.loads(piece) if piece.startswith('"') else data[piece.removeprefix(".")])
