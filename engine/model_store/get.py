"""A model comes into `models/`: from the hub, out of a folder, or out of a GGUF file."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from engine.errors import Cancelled, UserError, WrongUsage
from engine.files import open_given
from engine.i18n import _
from engine.model_folder.new_folder import new_model_folder
from engine.model_folder.source import ModelSource, is_repository, write_source
from engine.model_store.from_folder import bring_folder
from engine.model_store.from_hub import OnProgress, bring_from_hub
from engine.model_store.hub import address
from engine.model_store.shortlist import SHORTLIST
from engine.model_store.wanted import folder_name, require_name
from engine.project import Project
from engine.sanitize import one_line

_GGUF = b"GGUF"
_BLOB = re.compile(r"sha256-[0-9a-f]+")
_PAGE = re.compile(r"(?:/(?:tree|blob|resolve)/([^/]+))?(?:/.*)?")
"""What follows a model's name in the address of its page: perhaps a revision."""


@dataclass(frozen=True)
class Brought:
    """What came of it."""

    name: str
    """Of the folder below `models/`."""
    folder: Path
    source: ModelSource
    is_new: bool
    """Whether it came now, and was not there already."""
    left_out: tuple[str, ...] = ()
    """Files of the model that were not taken, such as programs."""


@dataclass(frozen=True)
class OnHub:
    """A model of the hub, as it is named on the command line."""

    repository: str
    asked: str = ""


def parse(text: str, here: Path) -> OnHub | Path:
    """Return what a text names: a folder or file that is there, or a model of the hub.

    Args:
        text: a path; ORGANISATION/NAME, with @REVISION; the address of its page; a name of the short list.
        here: folder from which paths are meant.

    Raises:
        UserError: it names nothing.
    """
    path = here / os.path.expanduser(text)
    if text and os.path.lexists(path):
        return path
    for offer in SHORTLIST:
        if text.lower() in (offer.repository.lower(), offer.name.lower()):
            return OnHub(offer.repository)
    for page in (f"{address()}/", "https://huggingface.co/", "https://hf.co/"):
        if text.startswith(page):
            organisation, name, rest = [*text.removeprefix(page).split("/", 2), "", ""][:3]
            found = _PAGE.fullmatch(f"/{rest.partition('?')[0]}" if rest else "")
            return _on_hub(f"{organisation}/{name.partition('?')[0]}", (found and found[1]) or "", text)
    repository, _at, asked = text.partition("@")
    return _on_hub(repository, asked, text)


def _on_hub(repository: str, asked: str, text: str) -> OnHub:
    if is_repository(repository):
        return OnHub(repository, asked)
    raise UserError(
        _("'{text}' is neither a folder nor a file, nor can a model on the hub have that name").format(
            text=one_line(text, 200)
        ),
        _("write ORGANISATION/NAME, or the path of a folder or GGUF file; see also: mqlora-tui get"),
    )


def get_model(
    project: Project,
    wanted: OnHub | Path,
    name: str,
    is_linked: bool,
    progress: OnProgress,
    stop: Event,
) -> Brought:
    """Bring a model into `models/`; it appears there whole or not at all.

    Args:
        project: whose `models/`.
        wanted: what `parse` returned.
        name: of its folder there; empty takes the model's own.
        is_linked: a folder's files are linked and not copied.
        progress: called with a translated stage, the bytes done and those in all (0: not known).
        stop: ends it when set; what is downloaded by then is kept.

    Raises:
        Cancelled: `stop` was set.
        UserError: it cannot be had, or not used.
    """
    if name:
        require_name(name)
    if isinstance(wanted, OnHub):
        return _from_hub(project, wanted, name, is_linked, progress, stop)
    if wanted.is_dir():
        name = name or folder_name(own_name(wanted))
        target = project.models_dir / require_given(name, wanted)
        source, left_out = bring_folder(wanted, target, is_linked, progress, stop)
        return Brought(name, target, source, True, left_out)
    return _from_gguf(project, wanted, name, is_linked, progress, stop)


def _from_hub(
    project: Project, wanted: OnHub, name: str, is_linked: bool, progress: OnProgress, stop: Event
) -> Brought:
    if is_linked:
        raise WrongUsage(
            _("{repository} is on the hub, and only a folder can be linked").format(
                repository=wanted.repository
            ),
            _("leave --link out"),
        )
    name = name or folder_name(wanted.repository.partition("/")[2])
    target = project.models_dir / name
    source, left_out, is_new = bring_from_hub(wanted.repository, wanted.asked, target, progress, stop)
    return Brought(name, target, source, is_new, left_out)


def _from_gguf(
    project: Project, path: Path, name: str, is_linked: bool, progress: OnProgress, stop: Event
) -> Brought:
    """Bring the model of a GGUF file; its weights are kept as they are, in MLX's form."""
    if not _is_gguf(path):
        raise UserError(
            _("{path} is no folder and no GGUF file").format(path=path),
            _("name a model's folder, a GGUF file, or ORGANISATION/NAME of the hub"),
        )
    if is_linked:
        raise UserError(
            _("{path} is a GGUF file, which is converted and cannot be linked").format(path=path),
            _("leave --link out"),
        )
    own = "" if _BLOB.fullmatch(path.name) else folder_name(re.sub(r"\.gguf$", "", path.name, flags=re.I))
    name = name or own
    target = project.models_dir / require_given(name, path)
    from engine.model.gguf import convert_gguf  # imports MLX

    def on_stage(stage: str) -> None:
        if stop.is_set():
            raise Cancelled
        progress(stage, 0, 0)

    source = ModelSource(way="gguf", origin=str(path.absolute()))
    with new_model_folder(target) as folder:
        convert_gguf(path, folder, on_stage)
        write_source(folder, source)
    return Brought(name, target, source, True)


def _is_gguf(path: Path) -> bool:
    try:
        with open_given(path) as file:
            return file.read(len(_GGUF)) == _GGUF
    except OSError:
        return False


def own_name(folder: Path) -> str:
    """Return what a folder's model is called: a snapshot of Hugging Face's cache by its model."""
    folder = folder.resolve() if folder.name in ("", ".", "..") else folder
    cached = folder.parents[1] if folder.parent.name == "snapshots" else folder
    return cached.name.removeprefix("models--").rpartition("--")[2]


def require_given(name: str, path: Path) -> str:
    """Return the name for a model's folder.

    Raises:
        UserError: neither the user nor the path gives one.
    """
    if name:
        return name
    raise UserError(
        _("The name of {path} says nothing of the model in it").format(path=path),
        _("give it one with --name"),
    )
