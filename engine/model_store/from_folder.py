"""A model's folder elsewhere on this machine comes into `models/`, as a copy or with links to its files."""

import os
import shutil
from pathlib import Path
from threading import Event

from engine.errors import Cancelled, UserError, system_reason
from engine.files import open_given
from engine.find_models import SOURCE_NAME, snapshot
from engine.i18n import _
from engine.model_folder.new_folder import new_model_folder, refuse_existing
from engine.model_folder.source import ModelSource, read_source, write_source
from engine.model_folder.usable import require_usable
from engine.model_store.caches import repository_of
from engine.model_store.from_hub import OnProgress, require_space
from engine.model_store.wanted import require_model, wanted
from engine.sanitize import one_line

_CHUNK = 8 << 20


def bring_folder(
    given: Path, target: Path, is_linked: bool, progress: OnProgress, stop: Event
) -> tuple[ModelSource, tuple[str, ...]]:
    """Bring the model in a folder into `models/`.

    With links the files stay where they are; the folder in `models/` is one of its own either way.

    Args:
        given: the folder, or one of a model in Hugging Face's cache.
        target: folder in `models/` that it becomes.
        is_linked: whether files are linked and not copied.
        progress: called with a translated stage, the bytes done and those in all.
        stop: ends it when set.

    Returns:
        Where it came from, and the files that were not taken.

    Raises:
        Cancelled: `stop` was set.
        UserError: it cannot be used, or not be written.
    """
    folder = (snapshot(given) or given).absolute()
    if folder.resolve().parent == target.parent.resolve():
        raise UserError(
            _("{folder} is in models/ already").format(folder=folder),
            _("choose it as 'model' of the configuration"),
        )
    names = _files(folder)
    require_model(names, str(folder))
    refuse_existing(target)
    progress(_("Looking at {name}").format(name=one_line(folder.name, 60)), 0, 0)
    require_usable(folder)
    taken = wanted(names)
    source = _source(folder, is_linked)
    with new_model_folder(target) as new:
        if is_linked:
            _link(folder, new, taken)
        else:
            _copy(folder, new, taken, progress, stop)
        write_source(new, source)
    left_out = tuple(one_line(name, 80) for name in sorted(set(names) - {*taken, SOURCE_NAME}))
    return source, left_out


def _files(folder: Path) -> list[str]:
    """Return the files of a model's folder as paths from it; one level of folders is looked into."""
    try:
        found = [*folder.glob("*"), *folder.glob("*/*")]
    except OSError as error:
        raise UserError(
            _("{folder} cannot be read: {reason}").format(folder=folder, reason=system_reason(error)),
            _("name a folder that you may read"),
        ) from None
    return [path.relative_to(folder).as_posix() for path in found if path.is_file()]


def _source(folder: Path, is_linked: bool) -> ModelSource:
    """Return where a folder's model came from, as it says itself or as its path does."""
    known = read_source(folder)
    repository, revision = (known.repository, known.revision) if known else repository_of(folder)
    return ModelSource(
        way="link" if is_linked else "folder",
        repository=repository,
        revision=revision,
        origin=str(folder),
    )


def _link(folder: Path, new: Path, names: list[str]) -> None:
    for name in names:
        (new / name).parent.mkdir(exist_ok=True)
        os.symlink(folder / name, new / name)


def _copy(folder: Path, new: Path, names: list[str], progress: OnProgress, stop: Event) -> None:
    total = sum((folder / name).stat().st_size for name in names)
    require_space(new, total)
    done = 0
    for name in names:
        (new / name).parent.mkdir(exist_ok=True)
        with open_given(folder / name) as source, (new / name).open("xb") as copy:
            while chunk := source.read(_CHUNK):
                if stop.is_set():
                    raise Cancelled
                copy.write(chunk)
                done += len(chunk)
                progress(_("Copying"), done, total)
        shutil.copystat(folder / name, new / name)
        (new / name).chmod(0o644)
