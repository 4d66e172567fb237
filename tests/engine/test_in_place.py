"""Other rows in the place of the data: every earlier file is kept, and comes back byte for byte."""

import json
import os
from collections.abc import Callable
from pathlib import Path

from engine.dataset.convert.backup import RECORD, newest_backup
from engine.dataset.convert.in_place import Unchanged, drop_row, edit_file, undo, use_rows
from engine.dataset.jsonl.lines import Oddities, read_lines
from engine.errors import UserError
from engine.fingerprint import data_fingerprint
from engine.project import Project

import pytest

TRAIN = b'\xef\xbb\xbf{"prompt": "a", "completion": "b"}\r\n\r\nnot JSON\n{"prompt": "c", "completion": "d"}'
VALID = b'{"prompt": "e", "completion": "f"}\n'


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.data_dir.mkdir()
    project.train_file.write_bytes(TRAIN)
    project.valid_file.write_bytes(VALID)
    return project


def contents(project: Project) -> dict[str, bytes]:
    """Return what lies in the data folder, that of folders below it too."""
    files = (path for path in project.data_dir.rglob("*") if path.is_file())
    return {str(path.relative_to(project.data_dir)): path.read_bytes() for path in files}


def copy_of(project: Project, **files: bytes) -> Path:
    folder = project.data_dir / "mended"
    folder.mkdir()
    for name, content in files.items():
        (folder / f"{name}.jsonl").write_bytes(content)
    return folder


def test_changes_are_undone_one_after_the_other(project: Project) -> None:
    """The last first; files and fingerprint are as they were each time, and no backup stays."""
    folder = copy_of(project, train=b"new\nrows\n", valid=VALID)
    states, prints = [contents(project)], [data_fingerprint(project)]
    assert use_rows(project, folder).files == ("train.jsonl",)
    assert project.train_file.read_bytes() == b"new\nrows\n"
    kept = project.data_dir / "backup-1"
    assert (kept / "train.jsonl").read_bytes() == TRAIN and not (kept / "valid.jsonl").exists()
    changes: list[Callable[[], object]] = [
        lambda: drop_row(project, "train.jsonl", 1),
        lambda: edit_file(project, "valid.jsonl", lambda path: path.unlink()),
        lambda: use_rows(project, copy_again(folder, b"v\n")),
    ]
    for change in changes:
        states.append(contents(project))
        prints.append(data_fingerprint(project) if project.valid_file.exists() else "")
        change()
    assert newest_backup(project.data_dir) == project.data_dir / "backup-4"
    assert len({*prints}) == len(prints), "a run would notice each of them"
    while states:
        undo(project)
        before = states.pop()
        (folder / "valid.jsonl").write_bytes(before.get("mended/valid.jsonl", b""))
        assert contents(project) == before
        if expected := prints.pop():
            assert data_fingerprint(project) == expected
    with pytest.raises(UserError, match="There is no backup in"):
        undo(project)


def copy_again(folder: Path, valid: bytes) -> Path:
    (folder / "valid.jsonl").write_bytes(valid)
    return folder


def test_the_line_that_is_dropped_is_the_one_that_the_check_names(project: Project) -> None:
    """Of every line, blank ones and long ones too; all others stay byte for byte."""
    project.train_file.write_bytes(TRAIN + b"\n" + b"x" * (3 << 20) + b"\nlast\n")
    lines = project.train_file.read_bytes().splitlines(keepends=True)
    for number in range(1, len(lines) + 1):
        drop_row(project, "train.jsonl", number)
        assert project.train_file.read_bytes() == b"".join(lines[: number - 1] + lines[number:])
        undo(project)
    numbered = dict(item for item in read_lines(project.train_file, Oddities()) if isinstance(item, tuple))
    drop_row(project, "train.jsonl", 3)
    assert numbered[3] == b"not JSON\n" and b"not JSON" not in project.train_file.read_bytes()
    with pytest.raises(UserError, match="no line 6 in"):
        drop_row(project, "train.jsonl", 6)


def test_what_was_changed_since_is_not_thrown_away(project: Project) -> None:
    """The way back is refused, and says where the older rows are."""
    drop_row(project, "train.jsonl", 3)
    project.train_file.write_bytes(b"mine\n")
    with pytest.raises(UserError, match=r"was changed since then.*backup-1"):
        undo(project)
    assert project.train_file.read_bytes() == b"mine\n"
    assert (project.data_dir / "backup-1" / "train.jsonl").read_bytes() == TRAIN


def test_an_older_backup_is_never_overwritten(project: Project) -> None:
    """Whatever has its name: also a file, a link or a gap in the numbers."""
    (project.data_dir / "backup-2").write_text("a file")
    os.symlink("/nowhere", project.data_dir / "backup-7")
    assert drop_row(project, "train.jsonl", 1).folder.name == "backup-8"
    assert (project.data_dir / "backup-2").read_text() == "a file"


def test_nothing_is_kept_where_nothing_changed(project: Project) -> None:
    """An editor that was left without a change, and rows that are there already."""
    before = contents(project)
    with pytest.raises(Unchanged):
        edit_file(project, "train.jsonl", lambda path: path.touch())
    assert contents(project) == before
    with pytest.raises(Unchanged):
        use_rows(project, copy_of(project, train=TRAIN, valid=VALID))
    assert newest_backup(project.data_dir) is None


def test_a_change_cut_short_between_two_files_is_undone(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk after the first of them: both are as before afterwards."""
    folder, before = copy_of(project, train=b"t\n", valid=b"v\n"), data_fingerprint(project)
    replace = Path.replace

    def full(path: Path, target: Path) -> Path:
        if path.name == "valid.jsonl":
            raise OSError(28, "No space left on device")
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(UserError, match="No space left"):
            use_rows(project, folder)
    assert project.train_file.read_bytes() == b"t\n" and project.valid_file.read_bytes() == VALID
    undo(project)
    assert data_fingerprint(project) == before


@pytest.mark.parametrize(
    "record",
    [
        "{",
        "[" * 100_000,
        json.dumps({"format": 1, "files": {"../../victim": {"before": None, "after": None}}}),
        json.dumps({"format": 1, "files": {"train.jsonl": {"before": "0" * 64, "after": None}}}),
        json.dumps({"format": 2, "files": {}}),
    ],
)
def test_a_record_of_somebody_else_moves_nothing(project: Project, record: str) -> None:
    """Damaged, endless, of a later version, or naming files that are no data."""
    victim = project.root.parent / "victim"
    victim.write_text("stays")
    folder = drop_row(project, "train.jsonl", 3).folder
    (folder / RECORD).write_text(record)
    after = project.train_file.read_bytes()
    with pytest.raises(UserError):
        undo(project)
    assert victim.read_text() == "stays" and project.train_file.read_bytes() == after


def test_a_pipe_in_place_of_a_file_is_not_waited_for(project: Project) -> None:
    """It is refused at once, whichever side it is on."""
    folder = copy_of(project, train=b"t\n")
    project.train_file.unlink()
    os.mkfifo(project.train_file)
    changes: list[Callable[[], object]] = [
        lambda: use_rows(project, folder),
        lambda: drop_row(project, "train.jsonl", 1),
        lambda: edit_file(project, "train.jsonl", lambda path: None),
    ]
    for change in changes:
        with pytest.raises(UserError, match="named pipe"):
            change()
