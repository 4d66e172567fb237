"""Functions that the assistant may call, and its calls of them, in the form of chat templates."""

from typing import Any

from engine.dataset.jsonl.fields import says_nothing
from engine.dataset.jsonl.parse import RowError
from engine.i18n import _
from engine.sanitize import one_line

import msgspec


def read_tools(value: Any, name: str) -> tuple[dict[str, Any], ...]:
    """Read the functions that the assistant may call, in the form of chat templates.

    Args:
        value: a list of objects, or such a list as JSON in a text.
        name: of the field that holds it.

    Raises:
        RowError: it is no such list.
    """
    tools = _decoded(value)
    if isinstance(tools, dict):
        tools = [tools]
    if not isinstance(tools, list) or not all(map(_has_name, tools)):
        raise RowError(
            "wrong_type",
            _("'{name}' is not a list of functions").format(name=one_line(name, 30)),
            _('write [{"type": "function", "function": {"name": ..., "parameters": ...}}]'),
        )
    return tuple(tool if "function" in tool else {"type": "function", "function": tool} for tool in tools)


def read_calls(turn: dict[str, Any], where: str) -> list[dict[str, Any]]:
    """Return the calls of a turn of the assistant as chat templates read them: arguments as an object."""
    calls = _decoded(turn.get("tool_calls")) or []
    if not says_nothing(turn.get("function_call")):
        calls = [*calls, _decoded(turn["function_call"])] if isinstance(calls, list) else calls
    if not isinstance(calls, list):
        raise _bad_call(where)
    return [_call(call, where) for call in calls]


def _call(call: Any, where: str) -> dict[str, Any]:
    function = call.get("function", call) if isinstance(call, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    arguments = _decoded(function.get("arguments") or {}) if isinstance(function, dict) else None
    if not isinstance(name, str) or not name.strip() or not isinstance(arguments, dict):
        raise _bad_call(where)
    identity = {"id": call["id"]} if isinstance(call.get("id"), str) else {}
    return {"type": "function", **identity, "function": {"name": name, "arguments": arguments}}


def _bad_call(where: str) -> RowError:
    return RowError(
        "wrong_type",
        _("{where}: a call of a tool has no name or no arguments").format(where=where),
        _('write {"type": "function", "function": {"name": ..., "arguments": {...}}}'),
    )


def _decoded(value: Any) -> Any:
    """Return what a text holds as JSON, other values as they are; None where it is no JSON."""
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def _has_name(tool: Any) -> bool:
    function = tool.get("function", tool) if isinstance(tool, dict) else None
    return isinstance(function, dict) and isinstance(function.get("name"), str) and bool(function["name"])
