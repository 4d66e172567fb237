"""Rows that an import refuses as the check of the data does, and says what can be done about them."""

from pathlib import Path
from typing import Any

from engine.dataset.convert.detect_columns import choose
from engine.dataset.convert.tables import open_table
from engine.dataset.jsonl.parse import RowError
from engine.dataset.jsonl.row import read_row
from engine.errors import UserError
from tests.support.import_files import became
from tests.support.tiny import write_rows

import pytest

PAIR = {"prompt": "q", "completion": "r"}


def given(tmp_path: Path, *rows: dict[str, Any]) -> Path:
    write_rows(tmp_path / "t.jsonl", rows)
    return tmp_path / "t.jsonl"


def test_a_column_of_classes_leaves_no_row_out_in_silence(tmp_path: Path) -> None:
    """Numbers may be classes, or good and bad answers: each row is refused, whatever its number is."""
    rows = [PAIR | {"label": number} for number in (0, 1, 2)] + [PAIR]
    path = given(tmp_path, *rows)
    assert became(path, tmp_path / "p")[1] == [(line, "unsupported_field") for line in (1, 2, 3)]


@pytest.mark.parametrize("who", ["role", "sender", "from", "Speaker"])
@pytest.mark.parametrize("said", ["text", "content"])
def test_single_messages_are_no_plain_text(tmp_path: Path, who: str, said: str) -> None:
    """The check refuses them too; the way out that is named works where they are plain text after all."""
    row = {"message_id": "1", who: "Ana", said: "Olá"}
    path = given(tmp_path, row, row)
    with pytest.raises(UserError, match=f"is one message, with who speaks in '{who}'") as refused:
        choose(open_table(path))
    assert refused.value.fix.endswith(f"--text {said}")
    assert became(path, tmp_path / "p", text=said)[0] == [{"text": "Olá"}] * 2
    if said == "text":
        with pytest.raises(RowError, match="its text is one message"):
            read_row(row, 1)


def test_a_message_among_plain_texts_is_refused(tmp_path: Path) -> None:
    """Also where the columns were found by other rows."""
    path = given(tmp_path, *[{"text": "a"}] * 60, {"text": "b", "role": "user"})
    assert became(path, tmp_path / "p")[1] == [(61, "unsupported_field")]


def test_a_line_of_names_in_the_middle_is_no_row(tmp_path: Path) -> None:
    """As where files with the same header were joined."""
    path = tmp_path / "t.csv"
    path.write_text("question,answer\nq,r\nquestion, answer\nq2,r2\n", encoding="utf-8")
    rows, rejected = became(path, tmp_path / "p")
    assert [row["prompt"] for row in rows] == ["q", "q2"] and rejected == [(3, "repeated_header")]
