"""The bytes of a model's files, in a hidden folder from which an interrupted download goes on.

huggingface_hub throws away what it has of a file when its process ends, several gigabytes of it; so each
file is read here, from the byte at which it stopped. Checksums tell at the end whether the bytes are right.
"""

import errno
import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import IO, TYPE_CHECKING

from engine.errors import Cancelled, UserError
from engine.files import open_own, read_own, remove, write_json
from engine.i18n import _
from engine.model_store.hub import LIBRARY, TIMEOUT_S, HubFile, Snapshot, address, telling
from engine.model_store.unfinished import NOTE, PREFIX, unfinished

if TYPE_CHECKING:
    import httpx2

PAUSES_S = (0.0, 1.0, 2.0, 4.0, 8.0)
"""Waits after failures of a file without any progress between them; after the last the download ends."""
_PASSING = (408, 425, 429, 500, 502, 503, 504)
"""Answers of a hub that has too much to do at the moment."""
OnBytes = Callable[[int], None]
"""Called with the bytes that are there by now, of all files."""


class Download:
    """A snapshot on its way into a hidden folder."""

    def __init__(self, snapshot: Snapshot, folder: Path) -> None:
        """Keep what is there of it; see `held_download`."""
        self.snapshot = snapshot
        self.model = folder / "model"
        """Folder of the files that are whole."""
        self._parts = folder / "parts"
        self._note = folder / NOTE
        for path in (self.model, self._parts):
            path.mkdir(exist_ok=True)
        self._drop_outdated()
        files = {file.name: [file.key, file.size] for file in snapshot.files}
        told = {"repository": snapshot.repository, "asked": snapshot.asked}
        write_json(self._note, told | {"revision": snapshot.revision, "files": files})

    def _drop_outdated(self) -> None:
        """Take away what is there of files that the commit has not, or has with another content."""
        keys: dict[str, list[object]] = {}
        with suppress(OSError, ValueError, LookupError, TypeError):
            keys = dict(json.loads(read_own(self._note))["files"])
        same = {file.name for file in self.snapshot.files if keys.get(file.name) == [file.key, file.size]}
        for folder in (self.model, self._parts):
            for path in folder.rglob("*"):
                if path.is_symlink() or (path.is_file() and path.relative_to(folder).as_posix() not in same):
                    path.unlink()

    @property
    def present(self) -> int:
        """Bytes that are here."""
        return sum(self._present(file) for file in self.snapshot.files)

    def _present(self, file: HubFile) -> int:
        for folder in (self.model, self._parts):
            with suppress(OSError):
                return min((folder / file.name).stat().st_size, file.size)
        return 0

    def drop(self, name: str) -> None:
        """Take away a file that proved to be damaged."""
        remove(self.model / name)

    def fetch(self, is_meant: Callable[[str], bool], on_bytes: OnBytes, stop: Event) -> None:
        """Download the files that are meant, by their names, and not here yet.

        Raises:
            Cancelled: `stop` was set.
            UserError: the hub does not give them.
            OSError: they cannot be written.
        """
        for file in self.snapshot.files:
            if is_meant(file.name) and not (self.model / file.name).is_file():
                self._fetch(file, on_bytes, stop)

    def _fetch(self, file: HubFile, on_bytes: OnBytes, stop: Event) -> None:
        part, whole = self._parts / file.name, self.model / file.name
        for path in (part, whole):
            path.parent.mkdir(parents=True, exist_ok=True)
        others = self.present - self._present(file)
        with open_own(part, "ab") as out, telling(self.snapshot.repository, self.snapshot.asked):
            _read_to_end(self._url(file), file.size, out, lambda count: on_bytes(others + count), stop)
        part.rename(whole)

    def _url(self, file: HubFile) -> str:
        from huggingface_hub import hf_hub_url

        snapshot = self.snapshot
        return hf_hub_url(snapshot.repository, file.name, revision=snapshot.revision, endpoint=address())


def _read_to_end(url: str, size: int, out: IO[bytes], on_bytes: OnBytes, stop: Event) -> None:
    """Append to `out` what is missing of a file of `size` bytes; go on after a cut connection."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    failures = 0
    while (before := out.seek(0, os.SEEK_END)) < size:
        if stop.is_set():
            raise Cancelled
        error: Exception = httpx2.RemoteProtocolError("the file ends too soon")
        try:
            _read_on(url, size, out, on_bytes, stop)
        except (httpx2.TransportError, HfHubHTTPError) as caught:
            if isinstance(caught, HfHubHTTPError) and caught.response.status_code not in _PASSING:
                raise
            error = caught
        failures = 0 if out.tell() > before else failures + 1
        if failures > len(PAUSES_S):
            raise error
        if failures and stop.wait(PAUSES_S[failures - 1]):
            raise Cancelled


def _read_on(url: str, size: int, out: IO[bytes], on_bytes: OnBytes, stop: Event) -> None:
    """Ask once for the rest of a file, and append what comes of it."""
    from huggingface_hub.utils import (  # type: ignore[attr-defined]  # documented, but not marked as exported
        build_hf_headers,
        get_session,
        hf_raise_for_status,
    )

    begin = out.tell()
    headers = build_hf_headers(library_name=LIBRARY) | {"Accept-Encoding": "identity"}
    if begin:
        headers["Range"] = f"bytes={begin}-"
    with get_session().stream("GET", url, headers=headers, timeout=TIMEOUT_S) as response:
        hf_raise_for_status(response)
        if begin and not _goes_on(response, begin, size):
            begin = 0
            out.seek(0)
            out.truncate()
        for chunk in response.iter_bytes():
            if stop.is_set():
                raise Cancelled
            if begin + len(chunk) > size:
                raise ValueError(f"larger than it should be: {size}")
            out.write(chunk)
            out.flush()  # a process that is killed loses none of it
            begin += len(chunk)
            on_bytes(begin)


def _goes_on(response: "httpx2.Response", begin: int, size: int) -> bool:
    """Whether an answer is the rest of a file; a hub may also send all of it."""
    return (
        response.status_code == 206
        and response.headers.get("Content-Range", "") == f"bytes {begin}-{size - 1}/{size}"
    )


@contextmanager
def held_download(snapshot: Snapshot, models: Path, name: str) -> Iterator[Download]:
    """Hold the hidden folder of a download, made if there is none; it stays where the block fails.

    Raises:
        UserError: another process downloads into it, or it holds another model.
        OSError: it cannot be made.
    """
    folder = models / f"{PREFIX}{name}"
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _lock(descriptor, name)
        _require_same(folder, snapshot)
        yield Download(snapshot, folder)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, name: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            return  # a file system without locks
        raise UserError(
            _("{name} is being downloaded by another process").format(name=name),
            _("wait for it; see how far it is with: mqlora-tui models"),
        ) from None


def _require_same(folder: Path, snapshot: Snapshot) -> None:
    """Refuse to mix two models."""
    for other in unfinished(folder.parent):
        if other.folder == folder and other.repository != snapshot.repository:
            raise UserError(
                _("{folder} holds an unfinished download of {repository}").format(
                    folder=folder, repository=other.repository
                ),
                _("choose another name with --name, or remove that folder"),
            )
