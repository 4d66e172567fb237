"""A cleaned copy: what goes, what stays, and that the originals are not touched."""

import errno
import json
from collections.abc import Sequence
from pathlib import Path
from threading import Event
from typing import Any, Literal

from engine.config import TrainingConfig
from engine.dataset.convert.clean import DROPPED, clean_data
from engine.dataset.convert.row_file import RowStore
from engine.dataset.convert.validation_split import SHARE, draw_validation
from engine.dataset.inspect.check import check_data
from engine.dataset.report import CheckStage
from engine.errors import Cancelled, UserError
from engine.project import Project
from tests.support.tiny import pairs, write_rows

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

CONFIG = TrainingConfig()


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def pair(prompt: str, completion: str, **more: Any) -> dict[str, Any]:
    return {"prompt": prompt, "completion": completion, **more}


def test_only_what_the_check_names_is_left_out(tmp_path: Path) -> None:
    """Other fields and the order stay; of two answers to one prompt both do; the files are as they were."""
    project = Project(tmp_path)
    project.data_dir.mkdir()
    good = [pair("Olá? 👋", "Sim.", id=7), pair("a?", "b"), pair("a?", "c"), pair("שלום", "مرحبا")]
    raw = [json.dumps(row, ensure_ascii=False) for row in good]
    bad = ['{"prompt": "x", "completion": ""}', "not JSON", raw[0]]
    text = "\ufeff" + "\r\n".join([raw[0], bad[0], raw[1], "", bad[1], raw[2], bad[2], raw[3]])
    project.train_file.write_bytes(text.encode())
    write_rows(project.valid_file, [pair("a?", "d"), pair("only here", "e")])
    before = project.train_file.read_bytes(), project.valid_file.read_bytes()
    mended = clean_data(project, CONFIG)
    assert (project.train_file.read_bytes(), project.valid_file.read_bytes()) == before
    assert lines(mended.folder / "train.jsonl") == good
    assert lines(mended.folder / "valid.jsonl") == [pair("only here", "e")]
    assert (mended.train, mended.valid) == (4, 1)
    changes = lines(mended.folder / "changes.jsonl")
    assert [(c["file"], c["line"], c["kind"]) for c in changes if c["action"] == "dropped"] == [
        ("train.jsonl", 2, "empty_completion"),
        ("train.jsonl", 5, "invalid_json"),
        ("train.jsonl", 7, "duplicate"),
        ("valid.jsonl", 1, "leak"),
    ]
    tidied = {c["kind"] for c in changes if c["action"] == "tidied"}
    assert tidied == {"byte_order_mark", "windows_line_ends", "blank_lines", "no_last_line_break"}
    assert (mended.dropped, mended.moved, mended.warned) == (4, 0, 1)  # one of the two answers


def test_a_row_with_several_faults_is_dropped_once(tmp_path: Path) -> None:
    """The list of changes has each of them; what only its author can mend stays, and is counted."""
    project = Project(tmp_path)
    doubtful = [pair("e?", "TODO"), pair("f?", "Tem pÃ£o e [your name]")]
    write_rows(project.train_file, [*pairs(20), *doubtful])
    write_rows(project.valid_file, [*pairs(2, 50), *pairs(2), *pairs(2), doubtful[0]])
    mended = clean_data(project, CONFIG)
    rows = {(change.file, change.line) for change in mended.changes if change.action == "dropped"}
    assert len([change for change in mended.changes if change.action == "dropped"]) > len(rows)
    before = len(lines(project.train_file)) + len(lines(project.valid_file))
    assert before - mended.train - mended.valid == mended.dropped == len(rows) == 5
    assert mended.warned == 2


def test_the_copy_has_nothing_left_to_mend(tmp_path: Path) -> None:
    """It passes the check itself, and a second copy goes to a folder of its own."""
    project = Project(tmp_path)
    write_rows(project.train_file, [*pairs(30), pair("p", ""), *pairs(3)])
    write_rows(project.valid_file, pairs(5, 28))
    first, second = clean_data(project, CONFIG), clean_data(project, CONFIG)
    assert (first.folder.name, second.folder.name) == ("mended", "mended-2")
    again = Project(tmp_path / "again")
    again.root.mkdir()
    first.folder.rename(again.data_dir)
    report = check_data(again, CONFIG)
    assert report.is_trainable
    assert not [f for f in report.faults if f.severity == "error" or f.kind in DROPPED]


def test_rows_are_set_apart_where_there_are_none_to_validate_with(tmp_path: Path) -> None:
    """A tenth, the same ones for the same seed, and no prompt on both sides."""
    project = Project(tmp_path)
    write_rows(
        project.train_file, [row for one in pairs(40) for row in (one, one | {"completion": "Não sei."})]
    )
    mended, same, other = (clean_data(project, CONFIG, seed) for seed in (1, 1, 2))
    train, valid, *others = (
        lines(folder / name)
        for folder, name in (
            (mended.folder, "train.jsonl"),
            (mended.folder, "valid.jsonl"),
            (same.folder, "valid.jsonl"),
            (other.folder, "valid.jsonl"),
        )
    )
    assert len(train) + len(valid) == 80 and 1 <= len(valid) <= 80 * SHARE
    assert not {row["prompt"] for row in train} & {row["prompt"] for row in valid}
    assert others[0] == valid != others[1]


@pytest.mark.parametrize(
    ("rows", "words"),
    [([pair("p", "")], "No row of train.jsonl can be kept"), ([pair("p", "a")], "No rows can be set apart")],
)
def test_what_cannot_be_mended_is_refused(tmp_path: Path, rows: list[Any], words: str) -> None:
    """In a sentence, and no folder is left behind."""
    project = Project(tmp_path)
    write_rows(project.train_file, rows)
    with pytest.raises(UserError, match=words):
        clean_data(project, CONFIG)
    assert [path.name for path in project.data_dir.iterdir()] == ["train.jsonl"]


@pytest.mark.parametrize("name", ["train.jsonl", "valid.jsonl"])
def test_a_file_of_another_format_is_not_taken_for_an_empty_one(tmp_path: Path, name: str) -> None:
    """Its rows were not read, so a copy would lack them all."""
    project = Project(tmp_path)
    write_rows(project.train_file, pairs(5))
    write_rows(project.valid_file, pairs(5, 10))
    (project.data_dir / name).write_text(json.dumps(pairs(5)), encoding="utf-8")
    with pytest.raises(UserError, match=f"{name} cannot be cleaned: the file is one JSON array") as refused:
        clean_data(project, CONFIG)
    assert refused.value.fix.endswith(f"mqlora-tui import {project.data_dir / name}")
    assert len(list(project.data_dir.iterdir())) == 2


def test_a_copy_that_cannot_be_written_whole_is_not_there_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full at the second file."""
    project = Project(tmp_path)
    write_rows(project.train_file, pairs(5))
    write_rows(project.valid_file, pairs(5, 10))
    written: list[Path] = []
    copy = RowStore.copy

    def fail(store: RowStore, rows: Sequence[int], path: Path) -> None:
        if written:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(path)
        copy(store, rows, path)

    monkeypatch.setattr(RowStore, "copy", fail)
    with pytest.raises(UserError, match="No space left on device"):
        clean_data(project, CONFIG)
    assert written and sorted(path.name for path in project.data_dir.iterdir()) == [
        "train.jsonl",
        "valid.jsonl",
    ]


@settings(max_examples=150)
@given(
    st.integers(2, 60).flatmap(
        lambda count: st.tuples(
            st.just(count),
            st.lists(st.tuples(st.integers(1, count), st.integers(1, count)), max_size=count // 2),
        )
    ),
    st.integers(0, 2**32 - 1),
)
def test_duplicates_are_on_one_side(rows: tuple[int, list[tuple[int, int]]], seed: int) -> None:
    """Whatever pairs there are, both sides have a row, and no pair is torn apart."""
    count, duplicates = rows
    every = list(range(1, count + 1))
    try:
        apart = draw_validation(every, duplicates, seed)
    except UserError:
        reached = {1}
        for _round in every:
            reached |= {b for pair in duplicates for a, b in (pair, pair[::-1]) if a in reached}
        assert reached == set(every)
        return
    assert apart < set(every) and apart
    assert all((one in apart) == (other in apart) for one, other in duplicates)


def test_a_copy_can_be_shuffled(tmp_path: Path) -> None:
    """All rows and no others, in an order that the seed decides; it is said in the list of changes."""
    project = Project(tmp_path)
    write_rows(project.train_file, pairs(60))
    write_rows(project.valid_file, pairs(5, 100))
    plain, first, same, other = (
        lines(clean_data(project, CONFIG, seed, shuffle).folder / "train.jsonl")
        for seed, shuffle in ((1, False), (1, True), (1, True), (2, True))
    )
    assert plain == pairs(60) and first == same and first != other != plain
    assert sorted(map(str, first)) == sorted(map(str, other)) == sorted(map(str, plain))
    changes = lines(tmp_path / "data" / "mended-2" / "changes.jsonl")
    assert [(c["file"], c["action"]) for c in changes] == [
        ("train.jsonl", "shuffled"),
        ("valid.jsonl", "shuffled"),
    ]


def test_cleaning_tells_how_far_it_is_and_can_be_ended(tmp_path: Path) -> None:
    """While rows are copied: nothing is left behind."""
    project = Project(tmp_path)
    write_rows(project.train_file, pairs(1000))
    end = Event()

    def on_progress(stage: CheckStage | Literal["copied"], file: str, count: int) -> None:
        if stage == "copied":
            assert (file, count) == ("train.jsonl", 1000)
            end.set()

    with pytest.raises(Cancelled):
        clean_data(project, CONFIG, on_progress=on_progress, cancel=end)
    assert end.is_set() and [path.name for path in project.data_dir.iterdir()] == ["train.jsonl"]
