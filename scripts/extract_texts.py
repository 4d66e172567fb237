"""How Babel finds the texts to translate: `babel.cfg` names this module.

Besides what `_` and `ngettext` are given there are texts that stand where other programs look for them: a
command's help is its docstring, and a setting's is the description of its field.
"""

import ast
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any

Found = tuple[int, str, str | tuple[str, ...], list[str]]
"""Line, the function it is given to, the text or both forms of it, and no comments."""


def extract(
    file: IO[bytes], keywords: Sequence[str], comment_tags: Sequence[str], options: Mapping[str, Any]
) -> Iterator[Found]:
    """Yield the texts of a source file, in its order."""
    tree = ast.parse(file.read())
    yield from sorted((item for node in ast.walk(tree) for item in _texts(node)), key=lambda item: item[0])


def _texts(node: ast.AST) -> Iterator[Found]:
    match node:
        case ast.Call(func=ast.Name("_" | "N_"), args=[ast.Constant(str() as text)]):
            yield node.lineno, "_", text, []
        case ast.Call(
            func=ast.Name("ngettext"), args=[ast.Constant(str() as one), ast.Constant(str() as many), _]
        ):
            yield node.lineno, "ngettext", (one, many), []
        case ast.Call(func=ast.Name("Field"), keywords=keywords):
            for keyword in keywords:
                if keyword.arg == "description" and isinstance(keyword.value, ast.Constant):
                    yield node.lineno, "_", str(keyword.value.value), []
        case ast.FunctionDef() if _is_command(node) and (doc := ast.get_docstring(node)):
            yield node.lineno, "_", inspect.cleandoc(doc), []


def _is_command(function: ast.FunctionDef) -> bool:
    """Whether the command line calls the function: it is told where it was called."""
    first = function.args.args[:1]
    return bool(first and first[0].annotation and ast.unparse(first[0].annotation) == "typer.Context")
