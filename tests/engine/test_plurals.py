"""No message says "1 rows": what is counted stands in a text with two forms."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = [path for folder in ("engine", "tui") for path in sorted((ROOT / folder).rglob("*.py"))]
EXEMPT = (
    "engine/model/matmul_benchmark.py",  # the key of a cache
)
NOUNS = (
    "answers|arrays|bytes|cells|characters|columns|conversations|cores|dimensions|epochs|errors|examples"
    "|faults|files|layers|lines|matrices|minutes|models|pairs|parameters|positions|projections|prompts|rows"
    "|seconds|shapes|starts|steps|tensors|times|tokens|tries|turns|validations|values|words"
)
COUNTED = re.compile(
    rf"\{{(?!path|file|name)\w+(?:[:!][^}}]*)?\}} (?:(?!million)[a-z]+(?:-[a-z]+)? )?(?:{NOUNS})\b"
)
"""A number and, perhaps behind an adjective, what there are so many of; millions are many."""


def one_form(path: Path) -> Iterator[str]:
    """Yield the texts of a file that have a single form for all numbers."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    fine = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}  # docstrings
    fine |= {
        id(text) for node in nodes if isinstance(node, ast.Call) and _is_two_forms(node) for text in node.args
    }
    for node in nodes:
        if id(node) not in fine and COUNTED.search(text := _text(node)):
            yield text


def _is_two_forms(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id == "ngettext"


def _text(node: ast.AST) -> str:
    """Return the text that a node stands for, with `{x}` for what an f-string fills in."""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) or "{x}" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


@pytest.mark.parametrize(
    ("source", "is_found"),
    [
        ('_("{n} rows")', True),
        ('_("{count:,} batch shapes here")', True),
        ('f"{len(rows)} rows"', True),
        ('ngettext("{n} row", "{n} rows", n)', False),
        ('_("{path} holds rows")', False),
    ],
)
def test_the_search_finds_what_it_is_there_to_find(tmp_path: Path, source: str, is_found: bool) -> None:
    """And nothing else."""
    path = tmp_path / "source.py"
    path.write_text(f"text = {source}\n")
    assert bool(list(one_form(path))) == is_found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_counted_has_two_forms(path: Path) -> None:
    """For one and for many."""
    if not str(path.relative_to(ROOT)).startswith(EXEMPT):
        assert list(one_form(path)) == []
