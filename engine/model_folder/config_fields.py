"""Whether the values of a `config.json` are of the kinds that its architecture wants.

Numbers, truth values and lists stand for each other in models that train, and numbers for
words. Text and objects in the place of numbers do not: with these nothing can be computed.
"""

import ast
from collections.abc import Iterator
from typing import Any

from engine.model_folder.architectures import architecture_of, arguments_of

_KINDS = {
    "bool": {"number"},
    "dict": {"object"},
    "float": {"number"},
    "int": {"number"},
    "list": {"list", "text"},  # a pattern of layers may be written as a word
    "str": {"text"},
    "tuple": {"list", "text"},
}
"""What may stand in the place of a type."""
_STOPS = "token_id"
"""End of the names of fields with tokens, which are looked at with the tokenizer."""
_NESTED = "text_config"
_FLOAT = "__float__"
"""Key of the objects with which transformers writes numbers that are not finite."""


def misfits(config: dict[str, Any], strict: bool = False) -> Iterator[tuple[str, Any]]:
    """Yield the fields whose values are of a kind that the architecture cannot use, with the values.

    Args:
        config: a model's `config.json`, of an architecture that mlx-lm has.
        strict: also yield lists and nulls in the place of a number, and numbers in that of a word:
            models that train have some.
    """
    own, nested = arguments_of(architecture_of(config))
    text = config.get(_NESTED)
    for settings, wanted in ((config, own), (text if isinstance(text, dict) else {}, nested)):
        for name, argument in wanted.items():
            if name in settings and not name.endswith(_STOPS) and not _fits(settings[name], argument, strict):
                yield name, settings[name]


def _fits(value: object, argument: ast.AnnAssign, strict: bool) -> bool:
    kinds = _kinds(argument.annotation)
    if value is None:
        may_be_null = isinstance(argument.value, ast.Constant) and argument.value.value is None
        return not strict or may_be_null or kinds != {"number"}
    kind = _kind(value)
    if kind in ("number", "list") and not strict:
        return not kinds or not kinds <= {"object", "null"}
    return not kinds or kind in kinds


def _kinds(annotation: ast.expr) -> set[str]:
    """Return what may stand where a type is written out; nothing where that is not known."""
    match annotation:
        case ast.Name(id=name):
            return _KINDS.get(name.lower(), set())
        case ast.Constant(value=None):
            return {"null"}
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _either([left, right])
        case ast.Subscript(value=ast.Name(id="Optional"), slice=kind):
            return _either([kind, ast.Constant(None)])
        case ast.Subscript(value=ast.Name(id="Union"), slice=ast.Tuple(elts=kinds)):
            return _either(kinds)
        case ast.Subscript(value=kind):
            return _kinds(kind)
    return set()


def _either(annotations: list[ast.expr]) -> set[str]:
    kinds = [_kinds(annotation) for annotation in annotations]
    return set().union(*kinds) if all(kinds) else set()


def _kind(value: object) -> str:
    if isinstance(value, str):
        return "text"
    if isinstance(value, list):
        return "list"
    return "object" if isinstance(value, dict) and _FLOAT not in value else "number"
