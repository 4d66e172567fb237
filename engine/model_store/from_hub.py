"""A model of the hub comes into `models/`; an interrupted download goes on the next time."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Event

from engine.errors import Cancelled, UserError
from engine.files import remove
from engine.i18n import _
from engine.model_folder.new_folder import become, cannot_write, refuse_existing
from engine.model_folder.source import ModelSource, read_source, write_source
from engine.model_folder.usable import require_known, require_tokenizer, require_usable
from engine.model_store.download import Download, held_download
from engine.model_store.hub import Snapshot, address, command, damaged, look_up
from engine.model_store.wanted import WEIGHTS
from engine.sanitize import one_line
from engine.units import sizes_apart

OnProgress = Callable[[str, int, int], None]
"""Called with a translated stage, the bytes done and the bytes in all; 0 where they are not known."""


def bring_from_hub(
    repository: str, asked: str, target: Path, progress: OnProgress, stop: Event
) -> tuple[ModelSource, tuple[str, ...], bool]:
    """Bring a model of the hub into `models/`, pinned to its commit and checked by its checksums.

    Args:
        repository: ORGANISATION/NAME.
        asked: a branch, a tag or a commit; empty for the default branch.
        target: folder in `models/` that it becomes.
        progress: see `OnProgress`.
        stop: ends it when set; what is there by then is kept for the next time.

    Returns:
        Where it came from, the files that were not taken, and whether it came now.

    Raises:
        Cancelled: `stop` was set.
        UserError: it cannot be had, or not used.
    """
    is_there = os.path.lexists(target)
    if is_there and not _is_of(repository, target):
        refuse_existing(target)
    progress(_("Asking {address} for {repository}").format(address=address(), repository=repository), 0, 0)
    snapshot = look_up(repository, asked)
    if is_there:
        return _require_same(snapshot, target, progress), snapshot.left_out, False
    try:
        with held_download(snapshot, target.parent, target.name) as download:
            source = _download(download, target, progress, stop)
            remove(download.model.parent)
    except OSError as error:
        raise _unwritten(target, error, command(repository, asked)) from None
    return source, snapshot.left_out, True


def _is_of(repository: str, target: Path) -> bool:
    source = read_source(target)
    return source is not None and source.way == "hub" and source.repository == repository


def _require_same(snapshot: Snapshot, target: Path, progress: OnProgress) -> ModelSource:
    """Return where a model came from that is there already, if it is to the last byte what the hub has."""
    source = read_source(target)
    if source is None or source.revision != snapshot.revision:
        raise UserError(
            _("{path} is another revision of {repository} than {revision}").format(
                path=target, repository=snapshot.repository, revision=snapshot.revision[:12]
            ),
            _("choose another name with --name"),
        )
    progress(_("Comparing the checksums of what is there"), 0, 0)
    if differing := damaged(snapshot, target):
        raise UserError(
            _("{path} is not what the hub has: {files}").format(path=target, files=_list(differing)),
            _("move it out of models/, and get it again"),
        )
    return source


def _download(download: Download, target: Path, progress: OnProgress, stop: Event) -> ModelSource:
    """Download, check and name a model; the small files first, for they may say that it cannot be used."""
    snapshot = download.snapshot
    require_space(download.model, snapshot.size - download.present)
    stage = _("Downloading {repository}").format(repository=snapshot.repository)

    def on_bytes(present: int) -> None:
        progress(stage, present, snapshot.size)

    on_bytes(download.present)
    download.fetch(lambda name: not name.endswith(WEIGHTS), on_bytes, stop)
    _require_useful(download, require_known, require_tokenizer)
    download.fetch(lambda name: True, on_bytes, stop)
    if stop.is_set():
        raise Cancelled
    progress(_("Comparing the checksums"), snapshot.size, snapshot.size)
    if differing := damaged(snapshot, download.model):
        for name in differing:
            download.drop(name)
        raise UserError(
            _("What came of {repository} is not what the hub has: {files}").format(
                repository=snapshot.repository, files=_list(differing)
            ),
            _("download that again: {command}").format(command=command(snapshot.repository, snapshot.asked)),
        )
    _require_useful(download, require_usable)
    source = ModelSource(
        way="hub",
        repository=snapshot.repository,
        revision=snapshot.revision,
        asked=snapshot.asked,
        origin=address(),
    )
    write_source(download.model, source)
    become(download.model, target)
    return source


def _require_useful(download: Download, *checks: Callable[[Path], object]) -> None:
    """Refuse what cannot be used whatever more of it comes; nothing of it is kept then."""
    try:
        for check in checks:
            check(download.model)
    except UserError as error:
        remove(download.model.parent)
        name = download.snapshot.repository
        problem = error.problem.replace(f"{download.model}{os.sep}", f"{name}/")
        raise UserError(
            problem.replace(str(download.model), name),
            _("choose another model, such as one of those that this lists: mqlora-tui get"),
        ) from None


def require_space(folder: Path, needed: int) -> None:
    """Check that a disk has room for so many bytes more.

    Raises:
        UserError: it has not.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        needs, has = sizes_apart(needed, free)
        raise UserError(
            _("{needed} are needed on the disk of {path} and {free} are free").format(
                needed=needs, path=folder, free=has
            ),
            _("free some disk space"),
        )


def _unwritten(target: Path, error: OSError, again: str) -> UserError:
    refused = cannot_write(target, error)
    fix = _("{fix}, then go on with: {command}").format(fix=refused.fix, command=again)
    return UserError(refused.problem, fix)


def _list(names: list[str]) -> str:
    return one_line(", ".join(names), 200)
