"""The rows of a Parquet table, a few at a time; pyarrow, which reads it, is an optional dependency."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

from engine.dataset.records import Record, refuse_twice
from engine.dataset.source import Source
from engine.errors import UserError
from engine.i18n import _
from engine.shell import installing

_BATCH = 1000
"""Rows that are held in memory together."""
_UNREADABLE = (ValueError, OverflowError)
"""What pyarrow raises for text that is not UTF-8 and for dates that Python does not know."""


def read_parquet(source: Source) -> Iterator[Record]:
    """Yield every row of a table, numbered from 1.

    Raises:
        UserError: pyarrow is not there, or the table is damaged.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise UserError(
            _("Reading {path} takes pyarrow, which is not installed").format(path=source.path),
            _("run: {command}").format(command=installing("pyarrow")),
        ) from None
    try:
        file = parquet.ParquetFile(source.path)
        refuse_twice(source.path, file.schema_arrow.names)
        rows = chain.from_iterable(map(_rows, file.iter_batches(batch_size=_BATCH)))
        yield from (Record(number, row) for number, row in enumerate(rows, start=1))
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        raise UserError(
            _("{path} is a damaged Parquet table: {reason}").format(path=source.path, reason=error),
            _("copy it again"),
        ) from None


def _rows(batch: Any) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = batch.to_pylist()
        return rows
    except _UNREADABLE:
        names, columns = batch.schema.names, batch.columns
        return [
            dict(zip(names, [_cell(column[index]) for column in columns], strict=True))
            for index in range(batch.num_rows)
        ]


def _cell(scalar: Any) -> Any:
    """Return the value of a cell; of one that Python cannot hold, something that is no text."""
    try:
        return scalar.as_py()
    except _UNREADABLE:
        return b""
