"""Rows of another file: none is lost, nothing is overwritten, and all or nothing appears."""

import errno
import json
from pathlib import Path
from threading import Event
from typing import Any

from engine.config import TrainingConfig
from engine.dataset.convert import import_table as importing
from engine.dataset.convert import publish
from engine.dataset.convert.detect_columns import choose
from engine.dataset.convert.import_table import ImportOptions, import_rows
from engine.dataset.convert.imported import REJECTED
from engine.dataset.convert.tables import open_table
from engine.dataset.convert.validation_split import draw_validation
from engine.dataset.inspect.check import check_data
from engine.errors import Cancelled, UserError
from engine.project import Project
from tests.support.import_files import IN_ORDER, bring, lines, tree
from tests.support.tiny import pairs, write_rows

import pytest


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file with 40 rows, of which two cannot be used."""
    path = tmp_path / "source.jsonl"
    rows = [*pairs(30), {"prompt": "x"}, *pairs(9, 30)]
    write_rows(path, rows)
    with path.open("a") as file:
        file.write("not JSON\n")
    return path


def test_an_empty_project_gets_its_data_folder(tmp_path: Path, source: Path) -> None:
    """Both files and the list of rejected rows; the check of the data has nothing to say."""
    project = Project(tmp_path / "p")
    done = bring(source, project.root, ImportOptions())
    assert done.folder == project.data_dir
    assert tree(project.root) == ["data", "data/rejected.jsonl", "data/train.jsonl", "data/valid.jsonl"]
    assert (done.train, done.valid, done.rejected) == (35, 4, 2)
    first, second = lines(project.data_dir / REJECTED)
    assert first == {
        "file": "source.jsonl",
        "line": 31,
        "kind": "missing_field",
        "reason": "'completion' is missing",
        "fix": "write it or drop the row",
    }
    assert (second["line"], second["kind"]) == (41, "invalid_json")
    report = check_data(project, TrainingConfig())
    assert report.is_trainable and not report.faults
    rows = lines(project.train_file) + lines(project.valid_file)
    assert sorted(json.dumps(row) for row in rows) == sorted(json.dumps(row) for row in pairs(39))


def test_other_files_of_the_data_folder_stay(tmp_path: Path, source: Path) -> None:
    """A list of questions is no data to train on."""
    project = Project(tmp_path / "p")
    project.data_dir.mkdir(parents=True)
    project.prompts_file.write_text("Olá?\n")
    assert bring(source, project.root, ImportOptions()).folder == project.data_dir
    assert project.prompts_file.read_text() == "Olá?\n"
    names = ["prompts.txt", "rejected.jsonl", "train.jsonl", "valid.jsonl"]
    assert tree(project.data_dir) == names


@pytest.mark.parametrize("there", ["train.jsonl", "valid.jsonl", REJECTED])
def test_files_that_are_there_are_never_touched(tmp_path: Path, source: Path, there: str) -> None:
    """The rows go to a folder of their own, and to another the next time."""
    project = Project(tmp_path / "p")
    project.data_dir.mkdir(parents=True)
    (project.data_dir / there).write_text("mine")
    folders = [bring(source, project.root, ImportOptions()).folder.name for _time in range(2)]
    assert folders == ["imported", "imported-2"]
    assert (project.data_dir / there).read_text() == "mine"
    assert [name for name in tree(project.data_dir) if "/" not in name] == sorted([*folders, there])


def test_order_and_share_are_as_wished(tmp_path: Path, source: Path) -> None:
    """The seed draws both; without shuffling rows stay in their order."""

    def written(name: str, options: ImportOptions) -> tuple[list[object], list[object]]:
        folder = bring(source, tmp_path / name, options).folder
        return lines(folder / "train.jsonl"), lines(folder / "valid.jsonl")

    assert written("a", IN_ORDER) == (pairs(39), [])
    assert (
        written("b", ImportOptions(seed=1))
        == written("c", ImportOptions(seed=1))
        != written("d", ImportOptions(seed=2))
    )
    train, valid = written("e", ImportOptions(0.25, shuffle=False))
    assert len(valid) == 10 and all(
        [row for row in pairs(39) if row in part] == part for part in (train, valid)
    )


def test_duplicates_are_on_one_side(tmp_path: Path) -> None:
    """No prompt that is trained on is validated with."""
    write_rows(
        tmp_path / "s.jsonl", [row for one in pairs(40) for row in (one, one | {"completion": "Não sei."})]
    )
    folder = bring(tmp_path / "s.jsonl", tmp_path / "p", ImportOptions(0.3)).folder
    train, valid = (
        {row["prompt"] for row in lines(folder / name)} for name in ("train.jsonl", "valid.jsonl")
    )
    assert valid and not train & valid and len(train | valid) == 40


def test_rows_that_are_all_the_same_are_not_divided(tmp_path: Path) -> None:
    """That is said, and no file to validate with is written."""
    write_rows(tmp_path / "s.jsonl", pairs(1) * 3)
    done = bring(tmp_path / "s.jsonl", tmp_path / "p", ImportOptions())
    assert (done.train, done.valid) == (3, 0) and "none could be set apart" in done.words
    assert tree(done.folder) == ["train.jsonl"]


def test_a_file_without_a_usable_row_is_refused(tmp_path: Path) -> None:
    """With the first reason, and nothing is left behind."""
    path = tmp_path / "s.csv"
    path.write_text("prompt,completion\na,\n,b\n")
    with pytest.raises(UserError, match=r"None of the 2 rows of .*; line 2: 'completion' is empty; write it"):
        bring(path, tmp_path / "p")
    assert tree(tmp_path / "p") == []


def test_a_file_that_changes_after_it_was_looked_into(tmp_path: Path) -> None:
    """Whatever is there by then counts; nothing is left of no rows."""
    project, path = Project(tmp_path), tmp_path / "s.csv"
    path.write_text("prompt,completion\na,b\n")
    table = open_table(path)
    path.write_text("prompt,completion\n")
    with pytest.raises(UserError, match="has no rows"):
        import_rows(project, table, choose(table), ImportOptions(), lambda _stage, _count: None, Event())
    assert tree(project.root) == ["s.csv"]


@pytest.mark.parametrize("stage", ["read", "written"])
@pytest.mark.parametrize("has_data", [False, True])
def test_an_import_that_is_ended_leaves_nothing(
    tmp_path: Path, source: Path, stage: str, has_data: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While rows are read and while they are written."""
    monkeypatch.setattr("engine.dataset.watch.EVERY", 10)
    project, cancel, table = Project(tmp_path / "p"), Event(), open_table(source)
    (project.data_dir if has_data else project.root).mkdir(parents=True)
    counts: list[int] = []

    def on_progress(at: str, count: int) -> None:
        if at == stage:
            counts.append(count)
            cancel.set()

    before = tree(project.root)
    with pytest.raises(Cancelled):
        import_rows(project, table, choose(table), ImportOptions(), on_progress, cancel)
    assert counts == [10] and tree(project.root) == before


@pytest.mark.parametrize(
    ("failing", "there"),
    [
        *(("sync", there) for there in ("", "prompts.txt", "train.jsonl")),
        *(("_free_name", there) for there in ("", "train.jsonl")),
        ("_placed", "prompts.txt"),
    ],
)
def test_a_full_disk_leaves_nothing(
    tmp_path: Path, source: Path, failing: str, there: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the rows were to go, and at whichever step it fails."""
    project = Project(tmp_path / "p")
    project.root.mkdir()
    if there:
        write_rows(project.data_dir / there, [])
    before, real, calls = tree(project.root), getattr(publish, failing), []

    def full(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) == 2 or failing == "_free_name":
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*arguments)

    monkeypatch.setattr(publish, failing, full)
    with pytest.raises(UserError, match="No space left on device"):
        bring(source, project.root, ImportOptions())
    assert tree(project.root) == before


def test_a_file_that_appears_meanwhile_is_not_overwritten(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else writes train.jsonl while rows are read."""
    project = Project(tmp_path / "p")
    project.data_dir.mkdir(parents=True)

    def meanwhile(*arguments: Any) -> set[int]:
        project.train_file.write_text("mine")
        return draw_validation(*arguments)

    monkeypatch.setattr(importing, "draw_validation", meanwhile)
    with pytest.raises(UserError, match="File exists"):
        bring(source, project.root, ImportOptions())
    assert project.train_file.read_text() == "mine" and tree(project.data_dir) == ["train.jsonl"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, source: Path) -> None:
    """A file stands where the data folder should be."""
    project = Project(tmp_path / "p")
    project.root.mkdir()
    project.data_dir.write_text("")
    with pytest.raises(UserError, match=r"Cannot write to .*data"):
        bring(source, project.root)


def test_more_rejected_rows_than_can_be_read_are_counted(tmp_path: Path) -> None:
    """The list in memory is capped, the one on the disk is not."""
    write_rows(tmp_path / "s.jsonl", [*pairs(1), *[{"prompt": "x"}] * 300])
    done = bring(tmp_path / "s.jsonl", tmp_path / "p")
    assert (len(done.listed), done.rejected, done.kinds) == (200, 300, {"missing_field": 300})
    assert len(lines(done.folder / REJECTED)) == 300
