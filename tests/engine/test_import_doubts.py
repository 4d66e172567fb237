"""What an import says of rows that it writes: all in one form, and what the check will warn of."""

from pathlib import Path
from typing import Any

from engine.config import TrainingConfig
from engine.dataset.convert.detect_columns import choose
from engine.dataset.convert.import_table import ImportOptions
from engine.dataset.convert.tables import open_table
from engine.dataset.convert.try_rows import Tried, try_rows
from engine.dataset.inspect.check import check_data
from engine.project import Project
from tests.support.import_files import bring, lines
from tests.support.tiny import pairs, write_rows

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
    told = [(doubt.kind, doubt.count, doubt.place) for doubt in done.doubts]
    assert told == [("misread_text", 2, 3), ("placeholder", 1, 5), ("control_character", 1, 5)]
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
    assert "1 row left out on request; 1 rejected, see rejected.jsonl" in done.words(Project(tmp_path / "p"))
    found = tried(tmp_path / "s.jsonl")
    assert (found.usable, found.rejected, found.left_out) == (2, 1, 1)
