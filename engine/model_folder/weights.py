"""The weights of a model folder: which files hold them, and whether each is there as a whole."""

import struct
from pathlib import Path

from engine.errors import UserError
from engine.files import open_given
from engine.i18n import _
from engine.model_folder.settings import again, optional_settings, read_settings, require_file
from engine.sanitize import one_line
from engine.units import size

from safetensors import SafetensorError, safe_open

PATTERN = "model*.safetensors"
"""What mlx-lm reads."""
Shapes = dict[str, tuple[int, ...]]
"""Of the tensors in a file, by their names."""
_INDEX = "model.safetensors.index.json"
_EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "tok_embeddings.weight", "embeddings.weight")
"""Ends of the names under which architectures keep the vectors of their tokens."""
_LENGTH = struct.Struct("<Q")


def read_weights(folder: Path) -> dict[Path, Shapes]:
    """Return the files with a model's weights and their tensors; each is there and whole.

    Raises:
        UserError: there are none, one that the index names is missing, or one is not whole.
    """
    files = sorted(folder.glob(PATTERN))
    for name in _indexed(folder):
        if not (folder / name).is_file():
            raise UserError(
                _("The base model lacks {path}, which {index} names").format(
                    path=folder / name, index=_INDEX
                ),
                again(folder),
            )
        if folder / name not in files:
            raise UserError(
                _("The weights in {path} are not read: mlx-lm reads {pattern}").format(
                    path=folder / name, pattern=PATTERN
                ),
                _("use a model in the form of mlx-lm"),
            )
    if not files:
        raise UserError(
            _("The base model lacks {path}").format(path=folder / "model.safetensors"), again(folder)
        )
    found = {path: tensor_shapes(path) for path in files}
    _refuse_two_sets(found)
    return found


def _refuse_two_sets(found: dict[Path, Shapes]) -> None:
    seen: dict[str, Path] = {}
    for path, shapes in found.items():
        for name in shapes:
            if name in seen:
                raise UserError(
                    _("{one} and {other} both hold '{name}': two sets of weights lie in one folder").format(
                        one=seen[name], other=path.name, name=one_line(name, 60)
                    ),
                    _("take the set out of the folder that does not belong there"),
                )
            seen[name] = path


def tensor_shapes(path: Path) -> Shapes:
    """Return the shape of each tensor in a file, by its name; only the header is read.

    Raises:
        UserError: it is missing, a pointer, damaged, or shorter or longer than its header says.
    """
    require_file(path)
    try:
        with safe_open(path, framework="np") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(
            _("{path} is not whole: {reason}").format(path=path, reason=_reason(path, error)),
            again(path.parent),
        ) from None


def embedding_rows(folder: Path) -> int | None:
    """Return how many tokens a model has vectors for; None where they go by an unknown name.

    Raises:
        UserError: a file with weights cannot be used.
    """
    for path in sorted(folder.glob(PATTERN)):
        for name, shape in tensor_shapes(path).items():
            if name.endswith(_EMBEDDINGS) and len(shape) == 2:
                return shape[0]
    return None


def _indexed(folder: Path) -> list[str]:
    """Return the names of the files that a model's index lists; none without an index.

    Raises:
        UserError: the index cannot be read, or names a file outside the folder.
    """
    if not optional_settings(folder / _INDEX):
        return []
    found = read_settings(folder / _INDEX).get("weight_map")
    listed = list(found.values()) if isinstance(found, dict) else []
    names = {name for name in listed if isinstance(name, str) and Path(name).name == name}
    if not names or not names.issuperset(map(str, listed)):
        raise UserError(
            _("{path} does not list the files of the weights").format(path=folder / _INDEX), again(folder)
        )
    return sorted(names)


def _reason(path: Path, error: Exception) -> str:
    """Say what is wrong with a file: how much of it is there, where its header can be read."""
    try:
        with open_given(path) as file:
            (header,) = _LENGTH.unpack(file.read(_LENGTH.size))
        total = path.stat().st_size
    except (OSError, struct.error):
        return _("it is empty or cut off")
    if header > total:
        return _("it has {size} and no complete header").format(size=size(total))
    if "incomplete" in str(error).lower():
        return _("its {size} are not what its header lists").format(size=size(total))
    return one_line(str(error), 120)
