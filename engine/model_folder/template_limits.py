"""A chat template is a program from elsewhere: it is run with bounds, so that it comes to an end.

jinja's sandbox keeps it from files and attributes, but not from loops in loops, macros
that call each other and texts that double. So its steps are counted, and long texts refused
(`engine.model_folder.template_sizes`).
"""

import threading
from collections.abc import Callable, Iterator
from functools import cache, lru_cache, wraps
from typing import Any

from engine.model_folder.template_sizes import (
    TooMuch,
    bounded,
    give_room,
    joined,
    require_arguments,
    require_filter,
    require_method,
    require_operation,
    writable,
)

from jinja2 import Template, nodes
from jinja2.compiler import CodeGenerator, Frame

MOST_SOURCE = 1 << 20
"""Characters of a template; the longest in use have some 30,000."""
MOST_STEPS = 100_000
"""Rounds of loops and calls of macros and blocks, besides those for the turns."""
MOST_STEPS_A_TURN = 1000
_INTERCEPTED = frozenset(["+", "*", "**", "%"])
_GROWING = (
    *("batch", "center", "escape", "e", "forceescape", "format", "indent", "join", "list", "pprint"),
    *("replace", "slice", "string", "sum", "tojson", "urlize", "wordwrap", "xmlattr"),
)
"""Filters that make more than they are given, or go through all that is inside it."""


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
    give_room(messages)
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
    from engine.model_folder.auto_tokenizer import compile_template

    environment: Any = compile_template("").environment  # which no other template has
    call, operate = environment.call, environment.call_binop
    environment.code_generator_class = _Counting
    environment.count_step = _count_step
    environment.concat = joined
    environment.finalize = environment.writable = writable
    environment.intercepted_binops = _INTERCEPTED

    def bounded_call(context: Any, called: Any, *arguments: Any, **named: Any) -> Any:
        require_arguments((*arguments, *named.values()))
        method = getattr(called, "__wrapped__", called)  # the sandbox has its own `format`
        text = getattr(method, "__self__", None)
        if isinstance(text, str):
            arguments = tuple(_listed(each) for each in arguments)
            require_method(text, method.__name__, (*arguments, *named.values()))
        return bounded(call(context, called, *arguments, **named))

    def bounded_operation(context: Any, operator: str, left: Any, right: Any) -> Any:
        require_operation(operator, left, right)
        return operate(context, operator, left, right)

    environment.call, environment.call_binop = bounded_call, bounded_operation
    environment.globals.pop("lipsum", None)  # paragraphs of nothing, as many as are asked for
    environment.filters |= {name: _bounded_filter(name, environment.filters[name]) for name in _GROWING}
    return environment


def _bounded_filter(name: str, made: Callable[..., Any]) -> Callable[..., Any]:
    first = 1 if hasattr(made, "jinja_pass_arg") else 0  # before it jinja passes what is its own

    @wraps(made)  # jinja's own marks are kept
    def bounded_filter(*arguments: Any, **named: Any) -> Any:
        own, (value, *others) = arguments[:first], map(_listed, arguments[first:])
        require_arguments((*others, *named.values()))
        require_filter(name, value, tuple(others), named)
        return bounded(made(*own, value, *others, **named))

    return bounded_filter


def _listed(value: Any) -> Any:
    """Return what a filter such as `map` yields as a list, so that it can be measured."""
    return list(value) if isinstance(value, Iterator) else value


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
            self.write("str(environment.writable(")
            self.visit(part, frame)
            self.write(")), ")
        self.write("))")

    def visit_EnvironmentAttribute(self, node: nodes.EnvironmentAttribute, _frame: Frame) -> None:
        self.write(f"environment.{node.name}()")


def _counted(node: Any) -> Any:
    node.body.insert(0, nodes.ExprStmt(nodes.EnvironmentAttribute("count_step"), lineno=node.lineno))
    return node
