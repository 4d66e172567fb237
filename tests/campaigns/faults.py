"""A disk that refuses the n-th thing asked of it, or everything from then on."""

import builtins
import errno
import fcntl
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

_CALLS = ("mkdir", "rename", "replace", "fsync", "chmod", "write", "ftruncate")


class FaultyDisk:
    """Counts what is asked of the disk below a folder, and fails where it is told to."""

    def __init__(
        self, folder: Path, fail_at: int = 0, error: int = errno.ENOSPC, for_good: bool = True
    ) -> None:
        """Prepare.

        Args:
            folder: what lies outside is left alone; without links in its path.
            fail_at: number, from 1, of the request that fails; 0 fails none.
            error: what the disk says.
            for_good: whether all later requests fail too.
        """
        self._folder = str(folder)
        self._fail_at = fail_at
        self._error = error
        self._for_good = for_good
        self.asked = 0
        """Requests so far."""
        self.failed = ""
        """The first request that failed."""

    @contextmanager
    def mounted(self) -> Iterator["FaultyDisk"]:
        """Stand between this process and its disk."""
        patches = [mock.patch.object(os, name, self._call(getattr(os, name), name)) for name in _CALLS]
        patches += [mock.patch.object(os, "open", self._os_open(os.open))]
        patches += [mock.patch.object(module, "open", self._open(io.open)) for module in (io, builtins)]
        for patch in patches:
            patch.start()
        try:
            yield self
        finally:
            for patch in patches:
                patch.stop()

    def fail_from_now(self) -> None:
        """Let the next request fail, and all after it."""
        self._fail_at, self._for_good = self.asked + 1, True

    def ask(self, what: str) -> None:
        """Count a request.

        Raises:
            OSError: this one fails.
        """
        self.asked += 1
        is_due = self.asked >= self._fail_at if self._for_good else self.asked == self._fail_at
        if self._fail_at and is_due:
            self.failed = self.failed or what
            raise OSError(self._error, os.strerror(self._error))

    def _is_inside(self, target: Any) -> bool:
        name = _path_of(target) if isinstance(target, int) else os.fspath(target)
        return str(name).startswith(self._folder)

    def _call(self, real: Any, name: str) -> Any:
        def call(target: Any, *arguments: Any, **options: Any) -> Any:
            is_there = name == "mkdir" and os.path.isdir(target)  # that is found out first
            if self._is_inside(target) and not is_there:
                self.ask(name)
            return real(target, *arguments, **options)

        return call

    def _os_open(self, real: Any) -> Any:
        def call(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
            if flags & os.O_CREAT and self._is_inside(path):
                self.ask("open")
            return int(real(path, flags, *arguments, **options))

        return call

    def _open(self, real: Any) -> Any:
        def call(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
            if "r" in mode or not self._is_inside(file):
                return real(file, mode, *arguments, **options)
            if not isinstance(file, int):
                self.ask("open")
            raw = _FaultyFile(self, file, mode.replace("b", "").replace("t", ""))
            buffered = io.BufferedWriter(raw)
            if "b" in mode:
                return buffered
            return io.TextIOWrapper(buffered, options.get("encoding"), newline=options.get("newline"))

        return call


def _path_of(descriptor: int) -> str:
    if sys.platform == "darwin":
        return os.fsdecode(fcntl.fcntl(descriptor, fcntl.F_GETPATH, bytes(1024)).rstrip(b"\0"))
    return os.readlink(f"/proc/self/fd/{descriptor}")


class _FaultyFile(io.FileIO):
    """A file of a faulty disk: a write that fails has already written half."""

    def __init__(self, disk: FaultyDisk, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._disk = disk
        self._is_torn = False

    def write(self, data: Any) -> int:
        try:
            self._disk.ask("write")
        except OSError:
            if not self._is_torn:
                super().write(bytes(data)[: len(data) // 2])
            self._is_torn = True
            raise
        return super().write(data) or 0
