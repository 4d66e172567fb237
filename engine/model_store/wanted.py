"""Which files of a model are taken, and what a model is called here."""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

from engine.errors import UserError
from engine.find_models import SOURCE_NAME
from engine.i18n import _
from engine.sanitize import HARMFUL, one_line

_PATTERNS = (
    *("config.json", "*.json", "*.jinja", "*.txt", "tokenizer.model", "model*.safetensors"),
    *("README.md", "LICENSE*", "NOTICE*"),
)
"""What is read to train and to talk, and the terms of use: data, never code nor pickles."""
_TEMPLATES = "additional_chat_templates/*.jinja"
_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_NOT_IN_NAMES = re.compile(r"[^\w.+-]+")
_LONGEST = 120
"""Characters of a folder's name."""
WEIGHTS = ".safetensors"
"""End of the names of the files with weights."""


def wanted(names: Iterable[str]) -> list[str]:
    """Return those of a model's files, paths from its folder, that are taken."""
    return sorted(name for name in names if _is_wanted(name))


def _is_wanted(name: str) -> bool:
    folder, _slash, file = name.rpartition("/")
    if name == SOURCE_NAME or file.startswith(".") or HARMFUL.search(name) or len(name) > _LONGEST:
        return False
    if folder:
        return fnmatchcase(name, _TEMPLATES) and name.count("/") == 1
    return any(fnmatchcase(name, pattern) for pattern in _PATTERNS)


def require_model(names: Iterable[str], what: str) -> None:
    """Check that the files of a model are there in a form that can be trained.

    Args:
        names: of all its files.
        what: is looked at: a repository or a folder, for people.

    Raises:
        UserError: they are not.
    """
    names = list(names)
    if "config.json" in names and any(_is_wanted(name) and name.endswith(WEIGHTS) for name in names):
        return
    if file := _first(names, ("model*.gguf", "*.gguf")):
        problem = _("{what} holds no model for mlx-lm, but GGUF files such as {file}")
        fix = _("name a model for mlx-lm, or the path of such a file on this machine: mqlora-tui get FILE")
    elif "config.json" in names and (file := _first(names, _PICKLED)):
        problem = _("The weights of {what} are in a form that can run code ({file})")
        fix = _("name a model whose weights are .safetensors files")
    else:
        problem = _("{what} holds no language model: there is no config.json with model*.safetensors")
        fix = _("see which models are offered with: mqlora-tui get")
    raise UserError(problem.format(what=what, file=one_line(file, 80)), fix)


def _first(names: Iterable[str], patterns: Iterable[str]) -> str:
    return next((name for name in sorted(names) for pattern in patterns if fnmatchcase(name, pattern)), "")


def folder_name(text: str) -> str:
    """Return a name for a folder in `models/` that is made of a model's own."""
    return _NOT_IN_NAMES.sub("-", text).strip(".-")[:_LONGEST]


def require_name(name: str) -> str:
    """Return a name that a user chose for a folder in `models/`.

    Raises:
        UserError: no folder there can have it.
    """
    if name != folder_name(name):
        raise UserError(
            _("'{name}' cannot be the name of a folder in models/").format(name=one_line(name, 80)),
            _("take letters, digits, '.', '_', '+' and '-', beginning with a letter or digit"),
        )
    return name
