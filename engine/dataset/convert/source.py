"""A file that is to be imported, opened as what it is."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, Literal, Self, cast

from engine.errors import UserError, system_reason
from engine.files import open_given
from engine.i18n import _, number

Format = Literal["delimited", "array", "lines", "parquet"]
"""CSV and its like, one JSON array of objects, JSON Lines, Parquet."""


@dataclass(frozen=True)
class Source:
    """A file whose format is known."""

    path: Path
    format: Format
    delimiter: str = ""
    """What stands between two cells, where the format is `delimited`."""
    is_gzip: bool = False
    encoding: str = "utf-8-sig"
    """Of a text; UTF-8 with or without a mark, UTF-16 or Windows-1252."""
    skipped_lines: int = 0
    """First lines that are no rows: that which names the delimiter, and titles."""
    has_spaced_quotes: bool = False
    """Whether blanks stand between delimiters and quotes: they belong to no cell."""
    has_header: bool = True
    """Whether the first line names the columns."""
    title_lines: int = 0
    """First lines that the user wants passed over."""
    named_at: int = 0
    """The line that seems to name them in its place, from 1; 0 where none does."""

    @property
    def words(self) -> str:
        """The format for people."""
        names = {
            "array": _("one JSON array"),
            "lines": _("JSON Lines"),
            "parquet": _("Parquet"),
            "delimited": _("TSV") if self.delimiter == "\t" else _("CSV with {mark}"),
        }
        name = names[self.format].format(mark=self.delimiter)
        if self.encoding != "utf-8-sig":
            shown = {"utf-16": "UTF-16", "cp1252": "Windows-1252"}[self.encoding]
            name = _("{format}, {encoding}").format(format=name, encoding=shown)
        return _("{format}, gzip").format(format=name) if self.is_gzip else name

    def open(self) -> BinaryIO:
        """Open the file, unpacked."""
        return cast(BinaryIO, gzip.open(self.path, "rb")) if self.is_gzip else open_given(self.path)

    def open_utf8(self) -> IO[bytes]:
        """Open a text, unpacked and as UTF-8 whatever it is written in."""
        file = self.open()
        if self.encoding == "utf-8-sig":
            return file
        return cast(IO[bytes], Recoded(io.TextIOWrapper(file, self.encoding, newline="\n")))


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Refuse in a sentence what goes wrong while `path` is read."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise UserError(
            _("{path} is damaged: it cannot be unpacked to its end").format(path=path), _("copy it again")
        ) from None
    except OSError as error:
        raise UserError(
            _("Cannot read {path}: {reason}").format(path=path, reason=system_reason(error)),
            _("correct its permissions or copy it again"),
        ) from None


class Recoded:
    """A text of another encoding, read as bytes of UTF-8."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        """Take over an open text."""
        self._text = text

    def __enter__(self) -> Self:
        """Nothing is left to be opened."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close the file."""
        self._text.close()

    def readline(self, limit: int = -1) -> bytes:
        """Return a line, or `limit` characters of it."""
        return self._text.readline(limit).encode()

    def read(self, limit: int = -1) -> bytes:
        """Return `limit` characters."""
        return self._text.read(limit).encode()


def not_decoded(source: Source, line: int) -> UserError:
    """Return the refusal of a text that is not written as it seemed; `line` is 0 where that is not known."""
    problem = (
        _("Line {line} of {path} cannot be read as {words}")
        if line
        else _("{path} cannot be read as {words}")
    )
    return UserError(
        problem.format(line=number(line), path=source.path, words=source.words), _("save the file as UTF-8")
    )
