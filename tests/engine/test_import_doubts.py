"""What an import says of rows that it writes: all in one form, and what the check will warn of."""

import json
from pathlib import Path
from typing import Any

from engine.config import TrainingConfig
from engine.dataset.convert.detect_columns import choose
from engine.dataset.convert.import_table import ImportOptions
from engine.dataset.convert.tables import open_table
from engine.dataset.convert.try_rows import Tried, try_rows
from engine.dataset.inspect.check import check_data
from engine.errors import UserError
from engine.project import Project
from tests.support.import_files import bring, lines
from tests.support.tiny import pairs, write_rows

import pytest

SYSTEM = {"prompt": "Tem pão?", "completion": "Sim.", "system": "Sê breve."}
NAMED = {"prompt": "prompt", "completion": "completion"}


def tried(path: Path, **columns: str) -> Tried:
    """What the first rows of a file become."""
    table = open_table(path)
    return try_rows(table, choose(table, **columns))


def test_a_file_is_written_in_one_form(tmp_path: Path) -> None:
    """All as conversations where one row has to be one: the check has nothing to say of its own making."""
    write_rows(tmp_path / "s.jsonl", [*pairs(30), SYSTEM, *pairs(30, 30)])
    done = bring(tmp_path / "s.jsonl", tmp_path / "p", ImportOptions(), **NAMED)
    project = Project(tmp_path / "p")
    rows = lines(project.train_file) + lines(project.valid_file)
    assert len(rows) == 61 and all(row.keys() == {"messages"} for row in rows)
    assert not check_data(project, TrainingConfig()).faults and not done.doubts
    assert sorted(len(row["messages"]) for row in rows) == [2] * 60 + [3]
    first = [item[1] for item in tried(tmp_path / "s.jsonl", **NAMED).rows if isinstance(item, tuple)]
    assert all(row.keys() == {"messages"} for row in first)


def test_a_file_of_pairs_stays_one(tmp_path: Path) -> None:
    """A system text that no row has changes nothing."""
    write_rows(tmp_path / "s.jsonl", pairs(9))
    bring(tmp_path / "s.jsonl", tmp_path / "p")
    assert lines(tmp_path / "p" / "data" / "train.jsonl") == pairs(9)


def test_what_the_check_will_warn_of_is_counted(tmp_path: Path) -> None:
    """Misread text, lost letters and answers to be filled in, each with its first row; before and after."""
    rows: list[dict[str, Any]] = [
        *pairs(2),
        {"prompt": "Tem pÃ£o?", "completion": "Sim."},
        {"prompt": "E cafÃ© Ã s dez?", "completion": "Sim."},
        {"prompt": "Tem ch\ufffd?", "completion": "TODO"},
    ]
    write_rows(tmp_path / "s.jsonl", rows)
    done = bring(tmp_path / "s.jsonl", tmp_path / "p")
    reported = [(doubt.kind, doubt.count, doubt.place) for doubt in done.doubts]
    assert reported == [("misread_text", 2, 3), ("placeholder", 1, 5), ("control_character", 1, 5)]
    assert "'Ã£'" in done.doubts[0].message and done.doubts == tried(tmp_path / "s.jsonl").tally.doubts
    warned = {fault.kind for fault in check_data(Project(tmp_path / "p"), TrainingConfig()).train.faults}
    assert warned >= {doubt.kind for doubt in done.doubts}


def test_rows_that_ask_to_be_left_out_are_not_rejected(tmp_path: Path) -> None:
    """They are counted by themselves, and listed with the others."""
    row = {"prompt": "a", "completion": "b"}
    write_rows(
        tmp_path / "s.jsonl", [row, row | {"label": False}, row | {"label": True}, row | {"prompt": ""}]
    )
    done = bring(tmp_path / "s.jsonl", tmp_path / "p")
    assert (done.train, done.rejected, done.left_out) == (2, 1, 1)
    assert "1 row left out on request; 1 rejected, see rejected.jsonl" in done.words
    found = tried(tmp_path / "s.jsonl")
    assert (found.usable, found.rejected, found.left_out) == (2, 1, 1)


def test_letters_of_another_alphabet_are_reported(tmp_path: Path) -> None:
    """A file in Windows-1251 or -1253 has no byte that Windows-1252 lacks; Portuguese capitals are none."""
    for encoding, text in (("cp1251", "Как дела"), ("cp1253", "Τι κάνεις σήμερα")):
        (tmp_path / "t.csv").write_bytes(f"prompt,completion\n{text}?,Хорошо\n".encode(encoding, "replace"))
        (doubt,) = tried(tmp_path / "t.csv").tally.doubts
        assert doubt.kind == "misread_text" and "another alphabet" in doubt.message, encoding
    (tmp_path / "t.csv").write_bytes(
        "prompt,completion\nE a ÉPOCA?,Está à mão; não há razões.\n".encode("cp1252")
    )
    assert not tried(tmp_path / "t.csv").tally.doubts


def test_rows_that_a_stray_quote_swallows_are_reported(tmp_path: Path) -> None:
    """Each line within the cell has the delimiters of a row; a text of several lines has not."""
    (tmp_path / "t.csv").write_text(
        'prompt,completion\nWide?,"12 inch\nTall?,30 cm\nDeep?,5 inch"\nA poem?,"roses, red\nviolets blue"\n'
    )
    (doubt,) = tried(tmp_path / "t.csv").tally.doubts
    assert (doubt.kind, doubt.count, doubt.place) == ("swallowed_rows", 1, 2) and "2 lines" in doubt.message
    done = bring(tmp_path / "t.csv", tmp_path / "p")
    assert done.doubts == (doubt,) and done.train + done.valid == 2


def test_of_several_lists_that_to_train_on_is_named(tmp_path: Path) -> None:
    """Whichever comes first; else the longest."""
    (tmp_path / "t.json").write_text(json.dumps({"test": pairs(1), "train": pairs(9), "notes": pairs(20)}))
    with pytest.raises(UserError, match="several lists of rows: train, notes, test") as refused:
        tried(tmp_path / "t.json")
    assert "such as 'train'" in refused.value.fix
