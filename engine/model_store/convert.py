"""A model with full-precision weights becomes a quantised one in `models/`, as mlx-lm converts it."""

import os
import shlex
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from engine.errors import UserError, WrongUsage
from engine.files import remove
from engine.find_models import label, snapshot
from engine.i18n import _
from engine.model_folder.dimensions import ModelDimensions
from engine.model_folder.new_folder import new_model_folder, refuse_existing
from engine.model_folder.source import ModelSource, read_source, write_source
from engine.model_folder.usable import require_usable
from engine.model_store.caches import repository_of
from engine.model_store.from_hub import require_space
from engine.model_store.get import Brought, own_name
from engine.model_store.wanted import folder_name, require_name
from engine.project import Project
from engine.sanitize import one_line

BITS = (4, 8)
"""To which weights can be quantised here."""
GROUP_SIZES = (32, 64, 128)
"""Numbers of weights that can share a scale and a bias, as MLX has them."""
_SCALE_BITS = 32
"""Of the scale and the bias of a group."""


def convert_model(
    project: Project,
    given: Path,
    bits: int,
    group_size: int,
    name: str,
    progress: Callable[[str], None] = lambda stage: None,
) -> Brought:
    """Quantise the weights of a model into a new folder in `models/`; the given one stays as it is.

    Args:
        project: whose `models/`.
        given: the model's folder, or one of a model in Hugging Face's cache.
        bits: of a weight, one of `BITS`.
        group_size: one of `GROUP_SIZES`.
        name: of the new folder; empty takes the old one's with the number of bits.
        progress: called with one translated sentence whenever a new stage begins.

    Raises:
        UserError: it cannot be converted, or not be written.
    """
    _require_widths(bits, group_size)
    folder = (snapshot(given) or given).absolute()
    name = require_name(name or folder_name(f"{own_name(given)}-{bits}bit"))
    target = project.models_dir / name
    refuse_existing(target)
    if not (folder / "config.json").exists():
        raise UserError(
            _("{folder} holds no model").format(folder=given), _("name a folder with a config.json")
        )
    files = require_usable(folder)
    if files.is_quantised:
        raise UserError(
            _("The weights in {folder} are quantised already").format(folder=folder),
            _as_it_is(project, folder),
        )
    _require_whole_groups(folder, group_size)
    with new_model_folder(target) as new:
        require_space(new, _bytes(files.weights, bits, group_size))
        progress(_("Quantising {name} to {bits} bits").format(name=one_line(label(folder), 80), bits=bits))
        _convert(folder, new, bits, group_size)
        require_usable(new)
        source = _source(folder, bits)
        write_source(new, source)
    return Brought(name, target, source, True)


def _as_it_is(project: Project, folder: Path) -> str:
    if folder.parent != project.models_dir.absolute():
        return _("use it as it is: mqlora-tui get {folder}").format(folder=folder)
    options = f"--set model={shlex.quote(folder.name)}"
    return _("use it as it is: mqlora-tui train {options}").format(options=options)


def _require_widths(bits: int, group_size: int) -> None:
    if bits not in BITS or group_size not in GROUP_SIZES:
        raise WrongUsage(
            _("Weights cannot be quantised to {bits} bits in groups of {group}").format(
                bits=bits, group=group_size
            ),
            _("take {bits} bits and groups of {groups}").format(bits=_or(BITS), groups=_or(GROUP_SIZES)),
        )


def _or(numbers: tuple[int, ...]) -> str:
    return _(" or ").join(map(str, numbers))


def _require_whole_groups(folder: Path, group_size: int) -> None:
    """Refuse groups that do not divide a matrix: mlx-lm would leave it as it is without a word."""
    shape = ModelDimensions.read(folder)
    widths = {inputs for inputs, _outputs in shape.projections.values()} if shape else set()
    if odd := sorted(width for width in widths if width % group_size):
        raise UserError(
            _("Groups of {group} do not divide the model's width of {width}").format(
                group=group_size, width=odd[0]
            ),
            _("take smaller groups, such as: --group-size 32"),
        )


def _bytes(weights: tuple[Path, ...], bits: int, group_size: int) -> int:
    """Return what the quantised weights take at most, if the given ones have 16 bits."""
    given = sum(path.stat().st_size for path in weights)
    return int(given * (bits + _SCALE_BITS / group_size) / 16)


def _convert(folder: Path, new: Path, bits: int, group_size: int) -> None:
    """Let mlx-lm convert; what it prints is not for users of this program."""
    import engine.backend  # noqa: F401  # readies MLX, before

    from mlx_lm.convert import convert

    new.rmdir()  # mlx-lm makes it
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        try:
            convert(str(folder), str(new), quantize=True, q_bits=bits, q_group_size=group_size)
        except (ValueError, RuntimeError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                _("mlx-lm cannot convert {folder}: {reason}").format(
                    folder=folder, reason=one_line(str(error), 200)
                ),
                _("use a model for mlx-lm that is quantised already"),
            ) from None
    for path in new.glob("*.py"):  # which mlx-lm takes along
        remove(path)


def _source(folder: Path, bits: int) -> ModelSource:
    known = read_source(folder)
    repository, revision = (known.repository, known.revision) if known else repository_of(folder)
    return ModelSource(
        way="converted", repository=repository, revision=revision, origin=str(folder), bits=bits
    )
