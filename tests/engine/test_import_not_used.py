"""What an import does not use is counted in all of its rows and turns, and named at the end."""

from pathlib import Path
from typing import Any

from engine.dataset.convert.imported import Imported
from engine.dataset.jsonl.row import row_of
from engine.dataset.jsonl.rows import read_rows
from engine.dataset.jsonl.unused_fields import NotUsed, named
from engine.dataset.report import Fault
from engine.sanitize import printable
from tests.support.import_files import bring
from tests.support.tiny import write_rows

import pytest

PAIR = {"prompt": "q", "completion": "r"}
ASKED = {"role": "user", "content": "q"}
SAID = {"role": "assistant", "content": "r"}


def imported(tmp_path: Path, *rows: dict[str, Any]) -> Imported:
    write_rows(tmp_path / "t.jsonl", rows)
    return bring(tmp_path / "t.jsonl", tmp_path / "p")


def test_fields_that_first_appear_late_are_counted(tmp_path: Path) -> None:
    """Behind the rows that the columns are found by; empty ones and those of rejected rows are not."""
    late = PAIR | {"hint": "h", "split": "train", "note": "", "question": "q"}
    bad = {"prompt": "q", "completion": "", "other": 1}
    done = imported(tmp_path, *[PAIR | {"id": 3}] * 60, late, PAIR | {"hint": "h"}, bad)
    assert done.not_used == {"id": 60, "hint": 2, "split": 1, "question": 1}
    assert done.note.endswith("not used, and in how many rows: id (60), hint (2), question (1), split (1)")
    assert imported(tmp_path, PAIR).note == ""


@pytest.mark.parametrize("key", ["messages", "conversations"])
def test_fields_of_turns_are_named_as_the_check_names_them(tmp_path: Path, key: str) -> None:
    """In how many rows, however many turns of one have it; a second text of a turn is one of them."""
    turns = [ASKED | {"mood": "x", "value": "v"}, SAID | {"mood": "y"}]
    row = {key: turns, "id": 1}
    assert imported(tmp_path, row, row).not_used == {"id": 2, "mood": 2, "value": 2}
    write_rows(tmp_path / "t.jsonl", [{"messages": turns, "id": 1}] * 2)
    (note,) = [item for item in read_rows(tmp_path / "t.jsonl") if isinstance(item, Fault)]
    assert note.message.endswith("id (2), mood (2), value (2)")


def test_what_stands_beside_a_question_that_is_an_object_is_named(tmp_path: Path) -> None:
    """As samplers write it."""
    row = {"input": {"messages": [ASKED], "parallel_tool_calls": True}, "output": [SAID]}
    assert imported(tmp_path, row).not_used == {"parallel_tool_calls": 1}


def test_any_number_of_names_is_counted_and_none_steers_a_terminal() -> None:
    """Those above a limit together, each cut to a length that can be read."""
    seen = NotUsed()
    for number in range(3000):
        seen.see([f"\x1b[31m{number}" + "x" * 1000, "id", "id"], number + 1)
    assert seen.counts["id"] == 3000 and seen.counts.total() == 6000
    assert len(seen.counts) == 1001 and max(map(len, seen.counts)) <= 60
    words = named(seen.counts)
    assert words.startswith("id (3,000), ") and printable(words) == words and len(words) < 1000


def test_the_note_of_a_check_gives_the_first_line_of_one() -> None:
    """And nothing is noted where all fields are used."""
    seen = NotUsed()
    assert list(seen.faults("train.jsonl")) == []
    seen.see(["b"], 7)
    seen.see(["a"], 9)
    seen.see(["a"], 10)
    (note,) = seen.faults("train.jsonl")
    assert (note.line, note.message.partition(": ")[2]) == (7, "a (2), b (1)")


@pytest.mark.parametrize("nothing", ["nan", "None", "NULL", "N/A", "<noinput>"])
def test_what_tables_write_for_nothing_is_not_joined(tmp_path: Path, nothing: str) -> None:
    """It is counted, as the check counts it; an option of that name is one."""
    row = {"instruction": "q", "input": nothing, "system": nothing, "output": "r"}
    done = imported(tmp_path, row, row)
    assert done.not_used == {"input": 2, "system": 2}
    assert done.folder.joinpath("train.jsonl").read_text("utf-8").count(nothing) == 0
    assert row_of(PAIR | {"input": nothing, "system": nothing}, 1)[1] == ["input", "system"]
    asked = {"question": "q?", "choices": ["a", nothing], "answer": "A"}
    assert not imported(tmp_path, asked).not_used
