"""A chat template is a program from elsewhere: it is run with bounds, so that it comes to an end.

jinja's sandbox keeps it from files and attributes, but not from loops in loops, macros
that call each other and texts that double. So its steps are counted, and long texts refused.
"""

import threading
from collections.abc import Callable, Iterable, Sized
from functools import cache, lru_cache, wraps
from typing import Any

from engine.i18n import _

from jinja2 import Template, nodes
from jinja2.compiler import CodeGenerator, Frame

MOST_SOURCE = 1 << 20
"""Characters of a template; the longest in use have some 30,000."""
MOST_STEPS = 100_000
"""Rounds of loops and calls of macros and blocks, besides those for the turns."""
MOST_STEPS_A_TURN = 1000
MOST_LENGTH = 1 << 26
"""Characters or items of what it makes; a row has no more."""
_MOST_BITS = 1 << 20
"""Of a whole number."""
_INTERCEPTED = frozenset(["+", "*", "**"])
_GROWING = ("batch", "center", "format", "indent", "join", "replace", "slice", "tojson")
"""Filters that make more than they are given."""
_WIDENING = frozenset(["batch", "center", "expandtabs", "indent", "ljust", "rjust", "slice", "zfill"])
"""Filters, and methods of texts, that are told how wide the result shall be."""


class TooMuch(Exception):
    """A template does more than any conversation takes."""

    def __init__(self) -> None:
        super().__init__(_("it does not come to an end, or writes far too much"))


def render(source: str, messages: list[dict[str, Any]], **variables: Any) -> str:
    """Return the text that a chat template makes, as transformers would render it.

    Args:
        source: of the template.
        messages: the conversation, of plain JSON values.
        variables: what else it can read.

    Raises:
        TooMuch: it goes on and on.
        Exception: whatever the template raises.
    """
    template = _compiled(source)
    _steps.left = MOST_STEPS + MOST_STEPS_A_TURN * len(messages)
    return template.render(messages=messages, **variables)


_steps = threading.local()
"""How many the template that this thread renders has left."""


def _count_step() -> bool:
    _steps.left -= 1
    if _steps.left < 0:
        raise TooMuch
    return True


@lru_cache(16)
def _compiled(source: str) -> Template:
    if len(source) > MOST_SOURCE:
        raise TooMuch
    template: Template = _environment().from_string(source)
    return template


@cache
def _environment() -> Any:
    """Return the environment of transformers for chat templates, with bounds."""
    from engine.transformers_import import compile_template

    environment: Any = compile_template("").environment  # which no other template has
    call, operate = environment.call, environment.call_binop
    environment.code_generator_class = _Counting
    environment.count_step = _count_step
    environment.concat = _joined
    environment.intercepted_binops = _INTERCEPTED

    def bounded_call(context: Any, called: Any, /, *arguments: Any, **named: Any) -> Any:
        if isinstance(getattr(called, "__self__", None), str) and called.__name__ in _WIDENING:
            _require_small(arguments)
        return _bounded(call(context, called, *arguments, **named))

    def bounded_operation(context: Any, operator: str, left: Any, right: Any) -> Any:
        _require_operable(operator, left, right)
        return operate(context, operator, left, right)

    environment.call, environment.call_binop = bounded_call, bounded_operation
    environment.filters |= {name: _bounded_filter(environment.filters[name]) for name in _GROWING}
    return environment


def _bounded_filter(made: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(made)  # jinja's own marks are kept
    def bounded(*arguments: Any, **named: Any) -> Any:
        if made.__name__.removeprefix("do_") in _WIDENING:
            _require_small((*arguments, *named.values()))
        return _bounded(made(*arguments, **named))

    return bounded


class _Counting(CodeGenerator):
    """Counts the rounds of every loop, and the calls of every macro and block."""

    def visit_For(self, node: nodes.For, frame: Frame) -> None:
        if node.test is not None:  # which is asked in a loop of its own
            node.test = nodes.And(nodes.EnvironmentAttribute("count_step"), node.test, lineno=node.lineno)
        super().visit_For(_counted(node), frame)

    def visit_Macro(self, node: nodes.Macro, frame: Frame) -> None:
        super().visit_Macro(_counted(node), frame)

    def visit_CallBlock(self, node: nodes.CallBlock, frame: Frame) -> None:
        super().visit_CallBlock(_counted(node), frame)

    def visit_Block(self, node: nodes.Block, frame: Frame) -> None:
        super().visit_Block(_counted(node), frame)

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        self.write("environment.concat((")
        for part in node.nodes:
            self.write("str(")
            self.visit(part, frame)
            self.write("), ")
        self.write("))")

    def visit_EnvironmentAttribute(self, node: nodes.EnvironmentAttribute, _frame: Frame) -> None:
        self.write(f"environment.{node.name}()")


def _counted(node: Any) -> Any:
    node.body.insert(0, nodes.ExprStmt(nodes.EnvironmentAttribute("count_step"), lineno=node.lineno))
    return node


def _joined(parts: Iterable[str]) -> str:
    made, room = list[str](), MOST_LENGTH
    for part in parts:
        room -= len(part)
        if room < 0:
            raise TooMuch
        made.append(part)
    return "".join(made)


def _bounded(value: Any) -> Any:
    if type(value) in (str, list) and len(value) > MOST_LENGTH:
        raise TooMuch
    return value


def _require_small(arguments: Iterable[Any]) -> None:
    """Refuse a number by which a text could be widened beyond all bounds."""
    for argument in arguments:
        if type(argument) is int and argument > MOST_LENGTH:
            raise TooMuch


def _require_operable(operator: str, left: Any, right: Any) -> None:
    numbers = type(left) is int and type(right) is int
    if operator == "+":
        is_small = numbers or _length(left) + _length(right) <= MOST_LENGTH
    elif numbers:
        bits = left.bit_length() * abs(right) if operator == "**" else left.bit_length() + right.bit_length()
        is_small = bits <= _MOST_BITS
    else:
        times = left if type(left) is int else right if type(right) is int else 1
        is_small = max(_length(left), _length(right)) * times <= MOST_LENGTH
    if not is_small:
        raise TooMuch


def _length(value: Any) -> int:
    return len(value) if isinstance(value, Sized) else 0
