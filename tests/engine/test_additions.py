"""Right answers saved as rows: what the check reads of them, and that their file is always whole."""

import json
import os
import subprocess
from pathlib import Path

from engine.dataset.convert.additions import add, answered, has_turns, joining_command
from engine.dataset.jsonl.row import Row
from engine.dataset.jsonl.rows import read_rows
from engine.dataset.jsonl.turns import Message
from engine.errors import UserError
from engine.project import Project

import pytest

ASKED: list[Message] = [{"role": "user", "content": "Olá?\n[b]\x1b"}]
GROWN: list[Message] = [*ASKED, {"role": "assistant", "content": "Mau"}, {"role": "user", "content": "E?"}]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "o'dd name")


def test_a_row_has_the_form_of_the_others_and_is_read_as_it_was_written(project: Project) -> None:
    """A pair or turns, as the data is; a conversation keeps its turns, and only the answer is learned."""
    project.data_dir.mkdir(parents=True)
    assert not has_turns(project), "there is no file yet"
    for raw, expected in ((b'{"prompt": "a", "completion": "b"}\n', False), (b'\n{"messages": []}\n', True)):
        project.train_file.write_bytes(raw)
        assert has_turns(project) is expected
    for turns, as_turns in ((ASKED, False), (ASKED, True), (GROWN, False)):
        add(project, answered(turns, "Bom\u202e dia", as_turns))
    lines = project.additions_file.read_text().splitlines()
    pair, turned, grown = map(json.loads, lines)
    assert pair == {"prompt": ASKED[0]["content"], "completion": "Bom\u202e dia"}
    assert turned == {"messages": [*ASKED, {"role": "assistant", "content": "Bom\u202e dia"}]}
    assert [turn.get("weight") for turn in grown["messages"]] == [None, 0, None, None]
    assert not any("\x1b" in line or "\u202e" in line for line in lines)
    rows = [row for row in read_rows(project.additions_file) if isinstance(row, Row)]
    assert [row.untrained for row in rows] == [(), (), (1,)]


def test_what_the_check_would_refuse_is_refused_and_what_it_warns_of_is_told() -> None:
    """Before anything is written."""
    with pytest.raises(UserError, match="no row to train on"):
        answered(ASKED, " \n", as_turns=False)
    assert [doubt.kind for doubt in answered(ASKED[:0] + GROWN[-1:], "TODO", False).doubts] == ["placeholder"]


def test_the_file_is_whole_whatever_lay_there(project: Project) -> None:
    """A last line without its end, the same row again, a link, a pipe."""
    project.data_dir.mkdir(parents=True)
    project.additions_file.write_bytes(b'{"text": "a"}')
    row = answered(ASKED, "b", as_turns=False)
    assert add(project, row) == 2
    with pytest.raises(UserError, match=r"Row 2 .* already"):
        add(project, row)
    assert [*map(json.loads, project.additions_file.read_text().splitlines())][:1] == [{"text": "a"}]
    other = project.root / "other"
    for make in (lambda path: path.symlink_to(other), os.mkfifo):
        project.additions_file.unlink()
        make(project.additions_file)
        with pytest.raises(UserError, match=r"is a (link|named pipe)"):
            add(project, row)
    assert not other.exists() and [path.name for path in project.data_dir.iterdir()] == ["additions.jsonl"]


@pytest.mark.parametrize("last", [b"", b'{"text": "a"}\n', b'{"text": "a"}'])
def test_the_command_that_is_told_joins_them_to_the_training_rows(project: Project, last: bytes) -> None:
    """Each on a line of its own, also after a line without its end; the additions are there no more."""
    project.data_dir.mkdir(parents=True)
    project.train_file.write_bytes(last)
    add(project, answered(ASKED, "b", as_turns=False))
    subprocess.run(["sh", "-c", joining_command(project)], check=True)
    rows = [row for row in read_rows(project.train_file) if isinstance(row, Row)]
    assert len(rows) == 1 + bool(last) and rows[-1].said.endswith("b")
    assert not project.additions_file.exists()
