"""Rows kept on the disk while it is decided which of them go where, and in what order."""

import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

EncodedRows = Iterable[bytes]


class RowStore:
    """A file of rows that can be copied out in any order; a row takes 8 bytes of memory.

    Used in a `with` block, at whose end the file is removed.
    """

    def __init__(self, path: Path) -> None:
        """Begin a new file."""
        self._path = path
        self._file = path.open("wb")
        self._ends = array("Q")
        """Where each row ends, in bytes."""

    def __enter__(self) -> Self:
        """Return the store."""
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Remove the file."""
        self._file.close()
        self._path.unlink()

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._ends)

    def add(self, row: bytes) -> None:
        """Keep a row, which holds no line break."""
        written = self._file.write(row + b"\n")
        self._ends.append((self._ends[-1] if self._ends else 0) + written)

    def copy(
        self,
        rows: Sequence[int],
        path: Path,
        passing: Callable[[EncodedRows], EncodedRows] = lambda lines: lines,
    ) -> None:
        """Write some of the rows, by their numbers from 0, to a file in that order.

        Args:
            rows: their numbers.
            path: of the file, which may be there already.
            passing: the lines pass through it, see `engine.dataset.watch.watched`.
        """
        self._file.flush()
        with path.open("wb") as file:
            file.writelines(passing(self._lines(rows)))

    def _lines(self, rows: Sequence[int]) -> Iterator[bytes]:
        with self._path.open("rb") as file:
            for row in rows:
                begin = self._ends[row - 1] if row else 0
                yield os.pread(file.fileno(), self._ends[row] - begin, begin)
