"""The architectures that the installed mlx-lm has, read from its files: importing it would import MLX."""

import ast
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_NEEDED = {"Model", "ModelArgs"}


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
    path = _package() / "models" / f"{architecture}.py"
    return architecture.isidentifier() and path.is_file() and _names(path) >= _NEEDED


@cache
def _constant(name: str) -> dict[Any, Any]:
    """Return a dictionary that mlx-lm's `utils.py` writes out; an empty one where it has none."""
    for node in ast.parse((_package() / "utils.py").read_bytes()).body:
        if isinstance(node, ast.Assign) and any(getattr(to, "id", "") == name for to in node.targets):
            return dict(ast.literal_eval(node.value))
    return {}


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
    for node in ast.parse(path.read_bytes()).body:
        if isinstance(node, ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names
