"""Style sheets that are parsed once: Textual parses all of them anew for each screen, theme and app.

A screen with styles of its own makes it throw away what was parsed before, some 40 ms of computing on a slow
machine, at the start three times over. Equal text with equal variables has equal rules, so they are kept.
"""

from collections.abc import Iterable
from typing import Any

from textual.css import stylesheet
from textual.css.model import RuleSet
from textual.css.parse import parse
from textual.css.tokenizer import Token

_Variables = dict[str, list[Token]]
_MOST = 500
"""Sheets that are kept; a theme has some 50."""
_kept: dict[tuple[Any, ...], list[RuleSet]] = {}
_last: tuple[_Variables | None, frozenset[Any]] = (None, frozenset())
"""The variables asked for last, and what they are compared by: nearly all sheets are parsed with the same."""


def patch_style_sheets() -> None:
    """Let Textual find the rules of a sheet that was parsed before."""
    vars(stylesheet)["parse"] = _parsed


def _parsed(
    scope: str, css: str, read_from: tuple[str, str], variable_tokens: _Variables, **options: Any
) -> Iterable[RuleSet]:
    """Return the rules of a sheet, as `textual.css.parse.parse` does for Textual's style sheets."""
    key = (scope, css, read_from, *sorted(options.items()), _compared(variable_tokens))
    if key not in _kept:
        if len(_kept) >= _MOST:
            _kept.clear()
        _kept[key] = list(parse(scope, css, read_from, variable_tokens=variable_tokens, **options))
    return _kept[key]


def _compared(variables: _Variables) -> frozenset[Any]:
    global _last
    if _last[0] is not variables:
        compared = ((name, tuple((t.name, t.value) for t in tokens)) for name, tokens in variables.items())
        _last = (variables, frozenset(compared))
    return _last[1]
