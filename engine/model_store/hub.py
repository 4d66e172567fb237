"""The hub of models, Hugging Face's or a mirror: what a repository holds, and whether files are its own.

The address is HF_ENDPOINT's, the token HF_TOKEN's or that of `hf auth login`; HF_HUB_OFFLINE forbids all.
"""

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import UserError
from engine.i18n import _
from engine.model_folder.source import COMMIT
from engine.model_store.wanted import require_model, wanted
from engine.sanitize import one_line

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

TIMEOUT_S = 20.0
"""Longest wait for an answer, and for more of one, in seconds."""
LIBRARY = "mqlora-tui"
"""How this program introduces itself."""
_PUBLIC = "https://huggingface.co"
_MOST_FILES = 2000
_LARGEST = 1 << 44
"""Bytes of a file; no model has one as large."""


@dataclass(frozen=True)
class HubFile:
    """A file of a repository."""

    name: str
    size: int
    """In bytes."""
    key: str
    """Its SHA-256 where it is a large one, else what git calls it: another content has another one."""


@dataclass(frozen=True)
class Snapshot:
    """What a repository holds at one commit, as far as it is taken."""

    repository: str
    asked: str
    """The branch, tag or commit that was asked for; empty for the default branch."""
    revision: str
    """The commit."""
    files: tuple[HubFile, ...]
    left_out: tuple[str, ...]
    """Names of the files that are not taken, such as programs."""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def address() -> str:
    """Return the address of the hub."""
    return os.environ.get("HF_ENDPOINT", "").strip().rstrip("/") or _PUBLIC


def look_up(repository: str, asked: str = "") -> Snapshot:
    """Return what a repository holds.

    Args:
        repository: ORGANISATION/NAME.
        asked: a branch, a tag or a commit; empty for the default branch.

    Raises:
        UserError: the hub does not say, or it is no model that can be trained.
    """
    with telling(repository, asked):
        info = _api().model_info(repository, revision=asked or None, files_metadata=True, timeout=TIMEOUT_S)
        siblings = info.siblings or []
        if not COMMIT.fullmatch(info.sha or "") or len(siblings) > _MOST_FILES:
            raise ValueError("no commit, or more files than a model has")
        found = {
            item.rfilename: HubFile(
                item.rfilename,
                _bounded(item.size),
                _key(item.lfs.sha256 if item.lfs else item.blob_id),
            )
            for item in siblings
        }
    require_model(found, repository)
    taken = wanted(found)
    left_out = tuple(one_line(name, 80) for name in sorted(found.keys() - set(taken)))
    return Snapshot(repository, asked, str(info.sha), tuple(found[name] for name in taken), left_out)


def _bounded(size: int | None) -> int:
    if size is None or not 0 <= size <= _LARGEST:
        raise ValueError("a file without a size")
    return size


def _key(text: str | None) -> str:
    if not text or not text.isalnum() or len(text) > 64:
        raise ValueError("a file without a checksum")
    return text


def damaged(snapshot: Snapshot, folder: Path) -> list[str]:
    """Return the names of the hub's files that a folder lacks or has otherwise, by their checksums.

    The hub is asked again: large files have a SHA-256 there, small ones git's SHA-1.

    Raises:
        UserError: the hub does not say.
    """
    with telling(snapshot.repository, snapshot.asked):
        found = _api().verify_repo_checksums(
            snapshot.repository, revision=snapshot.revision, local_dir=folder
        )
    names = {file.name for file in snapshot.files}
    differing = {mismatch["path"] for mismatch in found.mismatches} | set(found.missing_paths)
    return sorted(names & differing)


def _api() -> "HfApi":
    from huggingface_hub import HfApi

    return HfApi(endpoint=address(), library_name=LIBRARY)


@contextmanager
def telling(repository: str, asked: str = "") -> Iterator[None]:
    """Turn what goes wrong between here and the hub into a refusal.

    Raises:
        UserError: what is wrong, and what to do.
    """
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        yield
    except OfflineModeIsEnabled:
        raise UserError(
            _("{repository} is not here, and HF_HUB_OFFLINE forbids to download it").format(
                repository=repository
            ),
            _("take that variable (or TRANSFORMERS_OFFLINE) out of the environment"),
        ) from None
    except HfHubHTTPError as error:
        raise _refused(error, repository, asked) from None
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        reason = _network_words(error)
        raise UserError(
            _("The connection to the hub at {address} failed ({reason})").format(
                address=address(), reason=reason
            ),
            _("connect to the network, or name a mirror with HF_ENDPOINT, and run again: {command}").format(
                command=command(repository, asked)
            ),
        ) from None
    except (ValueError, LookupError, TypeError, AttributeError, AssertionError) as error:
        reason = one_line(str(error), 80)
        raise UserError(
            _("{address} does not answer as a hub of models does ({reason})").format(
                address=address(), reason=reason
            ),
            _("check HF_ENDPOINT, and whether this network wants a sign-in first"),
        ) from None


def _network_words(error: Exception) -> str:
    """Return why there is no connection: an address that is not known has words of its own."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, socket.gaierror):
            return _("nobody here knows its address")
        cause = cause.__cause__ or cause.__context__
    return one_line(_ERROR_NUMBER.sub("", str(error)), 120) or type(error).__name__


_ERROR_NUMBER = re.compile(r"^\[Errno -?\d+\] ")


def command(repository: str, asked: str = "") -> str:
    """Return the command that gets, or goes on to get, a model of the hub."""
    return f"mqlora-tui get {repository}{'@' + asked if asked else ''}"


def _refused(error: "HfHubHTTPError", repository: str, asked: str) -> UserError:
    """Return what to say of an answer that refuses."""
    from huggingface_hub import errors, get_token

    status = error.response.status_code
    page = f"{address()}/{repository}"
    if isinstance(error, errors.GatedRepoError):
        problem = _("{repository} is only for those whom its authors let in")
        fix = _("accept its conditions at {page}, and set HF_TOKEN to a token of that account")
    elif isinstance(error, errors.RevisionNotFoundError):
        problem, fix = _("{repository} has no revision '{asked}'"), _("name one that {page} lists, or none")
    elif status == 401 and get_token():
        problem = _("The hub at {address} does not take the token in use")
        fix = _("set HF_TOKEN to a token that is valid, or take it out of the environment")
    elif isinstance(error, errors.RepositoryNotFoundError) or status in (401, 404):
        problem = _("{address} has no model {repository}, or not for everybody")
        fix = _("check the name; for a private model set HF_TOKEN to a token that may read it")
    elif status == 403:
        problem = _("The hub at {address} does not let this token read {repository}")
        fix = _("set HF_TOKEN to a token with the right to read it")
    else:
        problem = _("The hub at {address} gave the error {status}")
        fix = _("wait a while, then run again: {command}")
    values = {"repository": repository, "asked": one_line(asked, 80), "address": address(), "page": page}
    values |= {"status": str(status), "command": command(repository, asked)}
    return UserError(problem.format(**values), fix.format(**values))
