"""What a run keeps of its validations, row by row, and who reads it without trusting it."""

import json
from pathlib import Path

from engine.analysis.summary import summarise
from engine.project import Project
from engine.training.events import Evaluated, Event
from engine.training.run_folder import archive_run
from engine.training.validation_rows import add_row_losses, keep_row_losses, read_row_losses
from tests.support.run_kinds import write_kind
from tests.support.tiny import RUN, tiny_project, train

import pytest


def test_a_run_keeps_what_each_validation_lost_on_each_row(finished: tuple[Project, list[Event]]) -> None:
    """Before the first step and at each validation; their mean is the loss that the run told."""
    project, events = finished
    found = read_row_losses(project)
    told = {event.step: event.val_loss for event in events if isinstance(event, Evaluated)}
    assert [row.step for row in found] == list(told)
    for row in found:
        assert sum(row.losses) / sum(row.tokens) == pytest.approx(told[row.step], abs=1e-4)
    assert len({row.tokens for row in found}) == 1


def test_rows_are_the_same_whatever_the_micro_batches(tmp_path: Path) -> None:
    """So that a run that goes on with smaller ones can still be compared with itself."""
    kept = []
    for batch_size in (1, 16):
        project = tiny_project(tmp_path / str(batch_size), train=4, valid=7)
        train(project, RUN.updated({"batch_size": batch_size, "num_epochs": 1}))
        kept.append(read_row_losses(project)[0])
    assert kept[0].tokens == kept[1].tokens and len(kept[0].tokens) == 7
    assert kept[0].losses == pytest.approx(kept[1].losses, rel=1e-4)


def test_the_file_goes_to_the_archive_with_its_run(tmp_path: Path) -> None:
    """The next run finds none."""
    project, _course = write_kind(tmp_path, "converged")
    before = project.row_losses_file.read_bytes()
    archive_run(project)
    (moved,) = project.run_dir.glob("archive/*/training_validations.jsonl")
    assert moved.read_bytes() == before and read_row_losses(project) == ()


@pytest.mark.parametrize(
    "line",
    ["", "[]", "{}", '{"step": 60, "tokens": [1, 2], "losses": [1.0]}',
     '{"step": -1, "tokens": [], "losses": []}',
     '{"step": 60, "tokens": [1e400], "losses": [1.0]}', "[" * 10_000, '{"step": 60, "tokens"',
     json.dumps({"step": 60, "tokens": [1] * 300, "losses": [1.0] * 300}),
     json.dumps({"step": 60, "tokens": [5] * 95, "losses": [50.0] * 95})],
)  # fmt: skip
def test_what_is_no_validation_of_the_run_is_not_believed(tmp_path: Path, line: str) -> None:
    """Damaged lines, and those whose mean is not what the metrics say; the run is judged without them."""
    project, _course = write_kind(tmp_path, "converged")
    *others, _last = project.row_losses_file.read_text().splitlines()
    project.row_losses_file.write_text("\n".join([*others, line]) + "\n")
    summary = summarise(project)
    assert (summary.best_step, summary.enough_step, summary.validation_rows) == (60, None, None)


def test_no_plain_file_is_set_aside_before_a_run_and_read_by_nobody(tmp_path: Path) -> None:
    """A link or a folder that has the name is none of a run's."""
    project, _course = write_kind(tmp_path, "converged")
    other = tmp_path / "other"
    project.row_losses_file.rename(other)
    project.row_losses_file.symlink_to(other)
    assert summarise(project).enough_step is None
    keep_row_losses(project, -1)
    assert other.exists() and not project.row_losses_file.is_symlink()
    assert [path.is_symlink() for path in project.run_dir.glob("archive/*/training_validations.jsonl")] == [
        True
    ]


def test_validations_that_are_yet_to_come_are_dropped(tmp_path: Path) -> None:
    """As a run that goes on from a checkpoint does; the bytes are those of one that never got further."""
    project, straight = Project(tmp_path / "a"), Project(tmp_path / "b")
    for each, steps in ((project, (0, 10, 20, 30)), (straight, (0, 10, 20))):
        each.run_dir.mkdir(parents=True)
        for step in steps:
            add_row_losses(each, step, [3, 4], [1.23456, 2.0 + step])
    keep_row_losses(project, 20)
    assert project.row_losses_file.read_bytes() == straight.row_losses_file.read_bytes()
    keep_row_losses(project, -1)
    assert not project.row_losses_file.exists()
