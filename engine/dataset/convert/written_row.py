"""Rows of another file as lines of JSON: those of one file all as pairs, or all as conversations."""

from engine.dataset.convert.column_mapping import ColumnMapping
from engine.dataset.convert.convert_row import convert, not_used_of
from engine.dataset.convert.detect_columns import reading_of
from engine.dataset.convert.records import Record
from engine.dataset.jsonl.lines import MOST_BYTES
from engine.dataset.jsonl.parse import RowError, parse_object
from engine.dataset.jsonl.row import Row, row_of
from engine.dataset.jsonl.unused_fields import NotUsed
from engine.i18n import _
from engine.sanitize import json_text

_PAIR, _TURNS = '{"prompt"', '{"messages"'
"""How lines begin."""


class WrittenForms:
    """Sees in which forms rows are written."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self._has_pairs = self._has_turns = False

    def see(self, line: str) -> None:
        """Look at a row that `written_row` returned."""
        self._has_pairs |= line.startswith(_PAIR)
        self._has_turns |= line.startswith(_TURNS)

    @property
    def are_mixed(self) -> bool:
        """Whether pairs have to be written as conversations, since others of the file cannot be pairs."""
        return self._has_pairs and self._has_turns


def written_row(
    record: Record, mapping: ColumnMapping, number: int, not_used: NotUsed | None = None
) -> tuple[str, Row]:
    """Return a row as it is written, one line of JSON, and as line `number` will be read.

    Args:
        record: the row of the other file.
        mapping: what its columns mean.
        number: of the line.
        not_used: is shown the fields that are not used, if the row can be.

    Raises:
        RowError: it cannot be used.
    """
    reading = reading_of(record.value, mapping)
    row, names = row_of(convert(record.value, reading), number)
    line = json_text(row.value(mapping.makes_turns))
    if len(line) >= MOST_BYTES // 4:  # a character takes four bytes at most
        message = _("the row has {size} million characters").format(size=round(len(line) / 1e6))
        raise RowError("line_too_long", message, _("split it"))
    if not_used and (names := not_used_of(record.value, reading) + names):
        not_used.see(names, record.place)
    return line, row


def as_turns(line: bytes) -> bytes:
    """Return a written row with the line break after it as a conversation, if it is a pair."""
    if not line.startswith(_PAIR.encode()):
        return line
    return json_text(row_of(parse_object(line), 1)[0].value(as_turns=True)).encode() + b"\n"
