"""The small files of a model folder: JSON objects, bounded, and never a stand-in for the real file."""

import json
import os
from pathlib import Path
from typing import Any

from engine.errors import UserError, system_reason
from engine.files import open_given, read_given
from engine.find_models import BUILT_IN
from engine.i18n import _
from engine.values import json_reason

MOST_BYTES = 256 << 20
"""No file of settings or vocabulary is larger; what is larger is not read."""
_READ = (".json", ".jinja", ".model", ".safetensors", ".txt")
"""Ends of the names of what is read, by whatever program."""
_TEMPLATES = "additional_chat_templates"
_POINTER = b"version https://git-lfs.github.com/spec/"
"""Beginning of the text that git leaves in the place of a large file that was not fetched."""


def read_settings(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file of a model folder.

    Raises:
        UserError: it is not there, no ordinary file, a git-lfs pointer, too large, or no JSON object.
    """
    require_file(path)
    try:
        values = json.loads(read_given(path, MOST_BYTES))
    except OSError as error:
        raise _broken(path, system_reason(error)) from None
    except (ValueError, RecursionError) as error:
        raise _broken(path, json_reason(error)) from None
    if not isinstance(values, dict):
        raise _broken(path, _("it holds no JSON object"))
    return values


def optional_settings(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file that a model folder may lack; an empty one where it does.

    Raises:
        UserError: it is there and cannot be used.
    """
    return read_settings(path) if os.path.lexists(path) else {}


def require_file(path: Path) -> None:
    """Check that a file of a model folder is there and is the file itself.

    Raises:
        UserError: it is missing, no ordinary file, too large, or a git-lfs pointer.
    """
    if not path.is_file():
        raise UserError(
            _("The base model lacks {path}").format(path=path)
            if not os.path.lexists(path)
            else _("{path} is no file that can be read").format(path=path),
            again(path.parent),
        )
    if is_pointer(path):
        raise UserError(
            _("{path} is only a git-lfs pointer: the file itself was not downloaded").format(path=path),
            _("run git lfs pull in the folder that it was cloned to, or download the model again"),
        )
    if path.suffix != ".safetensors" and path.stat().st_size > MOST_BYTES:
        raise _broken(path, _("it is too large"))


def require_plain(folder: Path) -> None:
    """Check that a model folder has plain files wherever a program may read one: nothing that never ends.

    Raises:
        UserError: something else has the name of one.
    """
    for path in (*folder.glob("*"), *folder.glob(f"{_TEMPLATES}/*")):
        if path.suffix in _READ and not path.is_file():
            raise UserError(_("{path} is no file that can be read").format(path=path), again(folder))


def is_pointer(path: Path) -> bool:
    """Whether a file is what git leaves in the place of a large file that was not fetched."""
    try:
        with open_given(path) as file:
            return file.read(len(_POINTER)) == _POINTER
    except OSError:
        return False


def again(folder: Path) -> str:
    """Return the advice for a folder whose files are missing or damaged."""
    text = _("download all its files again into {folder}, or move that out of models/")
    if folder.parent.name == "models" and folder.name == BUILT_IN:
        text = _("remove {folder}, and write it anew with: mqlora-tui demo")
    elif folder.parent.name != "models":
        text = _("put all its files into {folder} again, or name another folder")
    return text.format(folder=folder)


def _broken(path: Path, reason: str) -> UserError:
    return UserError(
        _("The base model's {path} is broken: {reason}").format(path=path, reason=reason), again(path.parent)
    )
