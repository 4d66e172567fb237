"""What is wrong with a value that somebody typed, in words: the validation library's are for programmers."""

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, get_args, get_origin

from engine.errors import UserError
from engine.i18n import _, number
from engine.i18n.numbers import as_python_has_it, with_separators
from engine.sanitize import one_line

import msgspec
from pydantic import ValidationError
from pydantic.fields import FieldInfo

_DECIMAL = re.compile(r"[+-]?\d*,\d+(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_ANOTHER_TYPE = re.compile(r"Expected `(.+?)`, got `(.+?)`(?: - at `(.+)`)?")
"""How msgspec says it."""
_THOUSANDS = re.compile(r"\d{1,3}(,\d{3})+", re.ASCII)


def refusal(error: ValidationError, fields: Mapping[str, FieldInfo], source: str = "") -> UserError:
    """Return the refusal of the first wrong value.

    Args:
        error: raised by a pydantic model.
        fields: of that model; one with a title is called by that.
        source: where the value stands, such as a file or an option.
    """
    first = error.errors(include_url=False)[0]
    name = one_line(str(first["loc"][0])) if first["loc"] else "?"
    where = _(" in {source}").format(source=source) if source else ""
    if first["type"] == "extra_forbidden" or name not in fields:
        return _unknown(name, where, fields)
    field, value = fields[name], first["input"]
    about = _(field.description or "")  # after a semicolon
    own = first["ctx"]["error"].args[0] if first["type"] == "value_error" else ""
    problem = _problem(field.title or name, where, field, value, own)
    return UserError(problem, about[:1].lower() + about[1:])


def json_reason(error: Exception) -> str:
    """Say what is wrong with a JSON file of which a library says it in English.

    Args:
        error: of `json` or msgspec.
    """
    if isinstance(error, json.JSONDecodeError):
        text = _("it is not JSON from line {line}, column {column} on")
        return text.format(line=error.lineno, column=error.colno)
    if isinstance(error, RecursionError):
        return _("JSON is nested too deeply")
    if not isinstance(error, msgspec.ValidationError):
        return _("it is not JSON")
    found = _ANOTHER_TYPE.fullmatch(str(error))
    if found is None:
        return str(error)
    text = _("Expected `{wanted}`, got `{found}` - at `{place}`")
    return text.format(wanted=found[1], found=found[2], place=found[3] or "$")


def typed(values: Mapping[str, Any], fields: Mapping[str, FieldInfo]) -> dict[str, Any]:
    """Return values with the decimals that somebody typed in the user's language as Python reads them.

    "0,0005" is 0.0005 where the language has a decimal comma: it writes no comma between thousands. In a
    file, which may be another's, a comma is refused in every language.

    Args:
        values: by the name of their field; a text is one that was typed.
        fields: that take them.
    """
    return {
        name: as_python_has_it(value)
        if isinstance(value, str) and name in fields and fields[name].annotation is float
        else value
        for name, value in values.items()
    }


def wanted(field: FieldInfo) -> str:
    """Return what a field takes, such as "a whole number, at least 1, at most 256"."""
    kind, _rules = _number_of(field)
    if kind is bool:
        return _("yes or no")
    if get_origin(kind) is Literal:
        return _("one of: {names}").format(names=", ".join(get_args(kind)))
    if get_origin(kind) is tuple and get_args(kind)[0] in (str, str | None):
        return ", ".join([_("a list of texts"), *_limits(field)])
    if get_origin(kind) is tuple:
        return _("names out of: {names}").format(names=", ".join(get_args(get_args(kind)[0])))
    if kind not in (int, float):
        return ", ".join([_("a text"), *_limits(field)])
    noun = _("a whole number") if kind is int else _("a number")
    return ", ".join([noun, *_limits(field)])


def _number_of(field: FieldInfo) -> tuple[Any, list[Any]]:
    """Return the type of a field's values, and their limits; a number's where a word may stand for one."""
    for part in get_args(field.annotation):
        if get_origin(part) is Annotated:
            kind, about = get_args(part)
            return kind, about.metadata
    return field.annotation, field.metadata


def _limits(field: FieldInfo) -> Iterator[str]:
    words = {"gt": _("above {n}"), "ge": _("at least {n}"), "lt": _("below {n}"), "le": _("at most {n}")}
    words["max_length"] = _("at most {n} letters") if field.annotation is str else words["le"]
    for name, word in words.items():
        for rule in _number_of(field)[1]:
            if (limit := getattr(rule, name, None)) is not None:
                yield word.format(n=number(limit, ".12g"))


def _problem(name: str, where: str, field: FieldInfo, value: Any, own: str) -> str:
    """Return what is wrong with a value; `own` is what a model's own check says of it, if that refused it."""
    if value in ((), []) or (isinstance(value, str) and not value.strip()):
        return _("'{name}'{where} is empty: it takes {wanted}").format(
            name=name, where=where, wanted=wanted(field)
        )
    reason = _("is wrong: {problem}").format(problem=own) if own else _comma(field, value)
    reason = reason or _("is wrong: it takes {wanted}").format(wanted=wanted(field))
    return _("Value {value} of '{name}'{where} {reason}").format(
        value=one_line(_quoted(field, value)), name=name, where=where, reason=reason
    )


def _quoted(field: FieldInfo, value: Any) -> str:
    """Return a value in quotes, with the decimals as they are typed in the user's language."""
    quoted = repr(value)
    return with_separators(quoted) if field.annotation is float and "," not in quoted else quoted


def _comma(field: FieldInfo, value: Any) -> str:
    """Say how a number with a comma is to be written; nothing where that is not what is wrong."""
    text = value.strip() if isinstance(value, str) else ""
    if field.annotation is float and _DECIMAL.fullmatch(text):
        words, plain = _("has a comma: write decimals with a point, as in {number}"), text.replace(",", ".")
    elif _number_of(field)[0] is int and _THOUSANDS.fullmatch(text):
        words, plain = _("has a comma: write thousands without, as in {number}"), text.replace(",", "")
    else:
        return ""
    return words.format(number=one_line(plain, 40))


def _unknown(name: str, where: str, fields: Mapping[str, FieldInfo]) -> UserError:
    near = difflib.get_close_matches(name, fields, n=1)
    fix = (
        _("did you mean '{near}'?").format(near=near[0])
        if near
        else _("use one of: {names}").format(names=", ".join(fields))
    )
    return UserError(_("Unknown key '{name}'{where}").format(name=name, where=where), fix)
