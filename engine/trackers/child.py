"""Child process that feeds one tracker.

    python -m engine.trackers.child

Its standard input has one JSON object a line: the `Order` first, then `{"row": ...}` for each step,
`{"saved": true}` after each checkpoint, and `{"end": is_finished}` where the run pauses or ends in order. It
answers with one line, `{"failed": reason}` or `{"done": true}`. What a library prints goes nowhere. Where its
input ends without a word the run may have crashed; it closes what it has.
"""

import fcntl
import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from engine.files import open_own, read_own, write_json
from engine.trackers.library import Library, Rewindable, Row, RunInfo

_POSITION = "position.json"
"""The last step that is in the tracker for good, and of which run."""
_LOCK = ".lock"
_LONGEST = 1 << 16


class FolderGone(Exception):
    """The folder of the run was moved or deleted."""


class Feed:
    """Gives a library every step once: what it lacks from the metrics file, then what comes."""

    def __init__(self, order: dict[str, Any]) -> None:
        """Open the library and catch up.

        Args:
            order: `name` of the tracker, `folder` of the run, its `metrics` file, `kept`, the last step there
                that is final, and `run`, `project` and `config` of `RunInfo`.

        Raises:
            Exception: whatever the library raises, here and in every other method.
        """
        folder = _own_folder(Path(order["folder"]), order["name"])
        self._folder, self._run = folder, order["run"]
        self._lock = _locked(folder)  # a process of the session before may be writing yet
        self._inode = folder.stat().st_ino
        self._pending: list[Row] = []
        """Steps after the last checkpoint, for a library that cannot replace any."""
        self._step = _position(folder, self._run)
        """The last one that was given."""
        kept = order["kept"]
        kind = _library(order["name"])
        if issubclass(kind, Rewindable):
            self._step = min(self._step, kept)
        info = RunInfo(folder, self._run, order["project"], order["config"])
        self._library = kind(info, self._step + 1)
        for row in _rows(Path(order["metrics"]), self._step, kept):
            self.take(row)
            if _is_applied(row):
                self._give_pending()
        self._settle()

    def take(self, row: Row) -> None:
        """Take a step, perhaps one that is made again."""
        if isinstance(self._library, Rewindable):
            if row["step"] <= self._step:
                self._library.rewind(row["step"])
            self._give(row)
            return
        while self._pending and self._pending[-1]["step"] >= row["step"]:
            self._pending.pop()
        if row["step"] > self._step:
            self._pending.append(row)

    def saved(self) -> None:
        """A checkpoint was saved: only bad steps just before it may be made again, from an older one."""
        self._give_pending()
        self._settle()

    def close(self, is_finished: bool) -> None:
        """End the session."""
        if is_finished:
            self._give_pending(with_bad_ones=True)
            self._settle()
        self._library.close(is_finished)

    def _give_pending(self, with_bad_ones: bool = False) -> None:
        """Give the steps that wait, up to the last one that was applied, or all."""
        final = [number for number, row in enumerate(self._pending, 1) if with_bad_ones or _is_applied(row)]
        count = final[-1] if final else 0
        for row in self._pending[:count]:
            self._give(row)
        del self._pending[:count]

    def _give(self, row: Row) -> None:
        self._require_folder()
        self._library.log(row)
        self._step = row["step"]

    def _settle(self) -> None:
        self._require_folder()
        self._library.flush()
        write_json(self._folder / _POSITION, {"run": self._run, "step": self._step})

    def _require_folder(self) -> None:
        """Raise `FolderGone` before a library makes the folder anew, or writes into that of the next run."""
        with suppress(OSError):
            if self._folder.stat().st_ino == self._inode:
                return
        raise FolderGone("the folder of the run was moved or deleted")


def _library(name: str) -> type[Library]:
    """Import one of the libraries; none of the others is touched."""
    if name == "tensorboard":
        from engine.trackers.tensorboard import TensorBoard

        return TensorBoard
    if name == "wandb":
        from engine.trackers.wandb import WeightsAndBiases

        return WeightsAndBiases
    from engine.trackers.trackio import Trackio

    return Trackio


def _own_folder(run: Path, name: str) -> Path:
    """Return the folder of a tracker below that of its run, which has to be there; no link is followed."""
    folder = run
    for part in ("trackers", name):
        folder /= part
        with suppress(FileExistsError):
            folder.mkdir()
        if folder.is_symlink() or not folder.is_dir():
            raise NotADirectoryError(f"{folder} is no folder")
    return folder


def _is_applied(row: Row) -> bool:
    """Whether the update of a step was made: after some that were not, the run goes back."""
    return row["loss"] is not None and row["grad_norm"] is not None


def _locked(folder: Path) -> IO[bytes]:
    """Wait until no other process feeds the tracker, and return what keeps others off until this one ends."""
    file: IO[bytes] = open_own(folder / _LOCK, "ab")
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def _position(folder: Path, run: str) -> int:
    """Return the last step that is there of a run; 0 where there is none, or nobody can tell."""
    with suppress(OSError, ValueError, RecursionError):
        found = json.loads(read_own(folder / _POSITION, _LONGEST))
        if isinstance(found, dict) and found.get("run") == run and isinstance(found.get("step"), int):
            return int(found["step"])
    return 0


def _rows(path: Path, after: int, until: int) -> Iterator[Row]:
    """Yield the lines of the metrics file of steps beyond `after`, up to `until`."""
    if after >= until:
        return
    with open_own(path) as file:
        for line in iter(lambda: file.readline(_LONGEST), b""):
            with suppress(ValueError):  # the run is writing this one
                row = json.loads(line)
                if after < row["step"] <= until:
                    yield row


def _feed(lines: Iterable[bytes]) -> None:
    """Do what the lines say."""
    messages = map(json.loads, lines)
    feed = Feed(next(messages))
    for message in messages:
        if "row" in message:
            feed.take(message["row"])
        elif "saved" in message:
            feed.saved()
        else:
            feed.close(message["end"])
            return
    feed.close(False)


def main() -> None:
    """Feed one tracker until its input ends."""
    answers = os.fdopen(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        _feed(sys.stdin.buffer)
        answer: dict[str, Any] = {"done": True}
    except BaseException as error:  # a library may also call `sys.exit`
        answer = {"failed": f"{type(error).__name__}: {error}"}
    with suppress(OSError):
        print(json.dumps(answer), file=answers, flush=True)
        answers.close()
    if "failed" in answer:
        os._exit(1)  # whatever threads and exit handlers of the library would still do


if __name__ == "__main__":
    main()
