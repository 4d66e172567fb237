"""The architectures that the installed mlx-lm has, read from its files: importing it would import MLX."""

import ast
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_ARGUMENTS = "ModelArgs"
_NEEDED = {"Model", _ARGUMENTS}
_OF_TEXT = "Text"
"""How the names of classes begin that take the settings of a text model among others."""
Arguments = dict[str, ast.AnnAssign]
"""Fields of a data class as they are written out, by their names."""


def architecture_of(config: dict[str, Any]) -> str:
    """Return mlx-lm's module for a model's `config.json`, as `mlx_lm.utils.load_model` chooses it."""
    model_type = str(config.get("model_type"))
    named = config.get("architectures") or ()
    for architecture in [named] if isinstance(named, str) else named:
        if found := _constant("MODEL_ARCHITECTURE_REMAPPING").get((model_type, architecture)):
            return str(found)
    return str(_constant("MODEL_REMAPPING").get(model_type, model_type))


def is_known(architecture: str) -> bool:
    """Whether mlx-lm has a module of that name with a model in it."""
    path = _module(architecture)
    return architecture.isidentifier() and path.is_file() and _names(path) >= _NEEDED


def arguments_of(architecture: str) -> tuple[Arguments, Arguments]:
    """Return what a known architecture takes of a model's `config.json`, by the names of the fields.

    Returns:
        What it takes of the file itself, and of the text model in a file that has one for it.
    """
    own, nested = Arguments(), Arguments()
    for node in _body(_module(architecture)):
        if isinstance(node, ast.ClassDef) and node.name == _ARGUMENTS:
            own |= _inherited(node) | _fields(node)
        elif isinstance(node, ast.ClassDef) and node.name.startswith(_OF_TEXT):
            nested |= _fields(node)
    return own, nested


def _inherited(node: ast.ClassDef) -> Arguments:
    """Return the fields of a class that takes those of another architecture."""
    found = Arguments()
    for base in node.bases:
        if isinstance(base, ast.Attribute) and isinstance(base.value, ast.Name):
            found |= arguments_of(base.value.id)[0]
    return found


def _fields(node: ast.ClassDef) -> Arguments:
    return {
        item.target.id: item
        for item in node.body
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
    }


@cache
def _constant(name: str) -> dict[Any, Any]:
    """Return a dictionary that mlx-lm's `utils.py` writes out; an empty one where it has none."""
    for node in _body(_package() / "utils.py"):
        if isinstance(node, ast.Assign) and any(getattr(to, "id", "") == name for to in node.targets):
            return dict(ast.literal_eval(node.value))
    return {}


def _module(architecture: str) -> Path:
    return _package() / "models" / f"{architecture}.py"


@cache
def _body(path: Path) -> list[ast.stmt]:
    return ast.parse(path.read_bytes()).body


@cache
def _package() -> Path:
    spec = find_spec("mlx_lm")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("mlx_lm")
    return Path(spec.submodule_search_locations[0])


@cache
def _names(path: Path) -> set[str]:
    """Return the names that a module defines or imports at its top."""
    names: set[str] = set()
    for node in _body(path):
        if isinstance(node, ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names
