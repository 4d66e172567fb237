"""The two metrics files after crashes and resumes."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.project import Project
from engine.training.metrics import COLUMNS, MetricsWriter
from tests.support.step_metrics import metrics

import pytest


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "checkpoints_qlora").mkdir()
    return Project(tmp_path)


def write(project: Project, keep_until: int, steps: range) -> None:
    writer = MetricsWriter(project, keep_until)
    for step in steps:
        writer.write(metrics(step, loss=None if step == 2 else step / 3))
    writer.close()


def read(project: Project) -> list[dict[str, Any]]:
    """The JSON lines, having made sure that the CSV says the same."""
    rows = [json.loads(line) for line in project.metrics_file.read_text().splitlines()]
    with project.metrics_csv.open(newline="") as file:
        reader = csv.DictReader(file)
        table = list(reader)
    assert tuple(reader.fieldnames or ()) == COLUMNS
    assert table == [{k: "" if v is None else str(v) for k, v in row.items()} for row in rows]
    return rows


def test_the_columns_are_those_that_are_promised() -> None:
    """Readers of other programs depend on names and order."""
    assert ",".join(COLUMNS) == (
        "step,epoch,loss,val_loss,learning_rate,grad_norm,tokens,tokens_per_second,peak_memory_gb,elapsed_s,time"
    )


def test_lines_after_the_checkpoint_are_dropped(project: Project) -> None:
    """On resume no step appears twice and none is missing."""
    write(project, 0, range(1, 8))
    write(project, 4, range(5, 7))
    rows = read(project)
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [row["loss"] for row in rows] == [None if step == 2 else step / 3 for step in range(1, 7)]


def test_a_new_run_begins_with_empty_files(project: Project) -> None:
    """What another run left is gone."""
    write(project, 0, range(1, 4))
    write(project, 0, range(0))
    assert read(project) == []


TORN = [
    b'{"step": 3, "lo',
    b"\0\0\0\0",
    b"[1]\n",
    b'{"step": "x"}\n',
    b"\xff\xfe\n",
    b"[" * 99_999,
    b'3,0,"\n',
]


@pytest.mark.parametrize("torn", TORN)
def test_a_torn_line_is_dropped(project: Project, torn: bytes) -> None:
    """A power cut leaves half a line or zeros; the lines before it count."""
    write(project, 0, range(1, 4))
    for path in (project.metrics_file, project.metrics_csv):
        with path.open("ab") as file:
            file.write(torn)
    write(project, 3, range(4, 5))
    assert [row["step"] for row in read(project)] == [1, 2, 3, 4]


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_bytes(b"\0" * 500)])
@pytest.mark.parametrize("name", ["metrics_file", "metrics_csv"])
def test_what_one_file_lost_is_in_the_other(
    project: Project, name: str, spoil: Callable[[Path], None]
) -> None:
    """Both are as they were, to the last digit and the missing losses."""
    write(project, 0, range(1, 4))
    before = project.metrics_file.read_bytes(), project.metrics_csv.read_bytes()
    spoil(getattr(project, name))
    writer = MetricsWriter(project, 3)
    writer.close()
    assert writer.lost == 0
    assert (project.metrics_file.read_bytes(), project.metrics_csv.read_bytes()) == before


def test_lines_lost_in_both_files_are_counted(project: Project) -> None:
    """The others stay."""
    write(project, 0, range(1, 5))
    for path in (project.metrics_file, project.metrics_csv):
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(line for line in lines if not line.startswith(('{"step": 3,', "3,"))))
    writer = MetricsWriter(project, 4)
    writer.close()
    assert writer.lost == 1
    assert [row["step"] for row in read(project)] == [1, 2, 4]


def test_a_line_is_readable_at_once(project: Project) -> None:
    """Another process reads while the run goes on."""
    writer = MetricsWriter(project, 0)
    writer.write(metrics(1))
    assert [row["step"] for row in read(project)] == [1]
    writer.close()
