"""What is done with the folder of a run: nothing that a process owns, nothing behind a link."""

import shutil
from functools import partial
from pathlib import Path

from engine.errors import UserError
from engine.project import Project
from engine.runs.changes import archive_present, bring_back, contents_of, delete_run, rename_run
from engine.runs.note import read_note, write_note
from engine.runs.places import RunPlace, archived, run_places
from engine.runs.record import describe
from engine.training.events import Event, Finished, Started
from tests.engine.test_runs import LOSSES, past_run
from tests.support.moments import step_done
from tests.support.run_files import write_run
from tests.support.tiny import files_below, owned_by, train

import pytest

PID = 4_000_000


def test_a_run_is_renamed(tmp_path: Path) -> None:
    """With all that is in it; a name that is none for a folder, or is taken, is refused."""
    project = Project(tmp_path)
    place, other = past_run(project, "a"), past_run(project, "b")
    write_note(place.project, "the first")
    for name in ("", ".hidden", "../up", "a/b", "a\\b", "line\nbreak", "\x1b[31m", "x" * 81, "b"):
        with pytest.raises(UserError):
            rename_run(place, name)
    renamed = rename_run(place, " rank 8, long ")
    assert {found.name for found in run_places(project)} == {"rank 8, long", "b"}
    record = describe(renamed)
    assert record.note == "the first" and record.summary is not None and record.summary.steps == len(LOSSES)
    assert read_note(other.project) == ""


def test_a_deleted_run_takes_nothing_else_with_it(tmp_path: Path) -> None:
    """What links in it lead to stays, and so do the other runs."""
    project = write_run(tmp_path / "project", LOSSES)
    place, other = past_run(project, "a"), past_run(project, "b")
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("x" * 1000)
    (place.folder / "adapters").symlink_to(precious)
    (place.folder / "linked").symlink_to(precious / "file")
    kept, present = files_below(other.folder), files_below(project.run_dir).keys()
    contents = contents_of(place)
    assert contents.is_all and contents.files == len(list(place.folder.iterdir()))
    delete_run(place)
    assert [found.name for found in run_places(project)] == ["", "b"]
    assert (precious / "file").read_text() == "x" * 1000
    assert files_below(other.folder) == kept
    gone = {name for name in present if name.startswith("archive/a/")}
    assert files_below(project.run_dir).keys() == present - gone


def test_a_run_that_a_process_owns_is_left_alone(tmp_path: Path) -> None:
    """Also in the archive, where its folder may have been moved while it trained."""
    project = write_run(tmp_path, LOSSES)
    place = past_run(project, "a")
    before = files_below(project.run_dir)
    with owned_by(place.project, PID):
        for change in (delete_run, bring_back, partial(rename_run, name="other")):
            with pytest.raises(UserError, match=f"Process {PID}"):
                change(place)
    with owned_by(project, PID):
        for job in (partial(archive_present, project), partial(bring_back, place)):
            with pytest.raises(UserError, match=f"Process {PID}"):
                job()
    after = files_below(project.run_dir)
    assert {name: data for name, data in after.items() if not name.endswith(".lock")} == before


def test_what_is_no_folder_of_the_archive_is_not_changed(tmp_path: Path) -> None:
    """Neither the present run, nor a link, nor an archive that is one."""
    project = write_run(tmp_path / "project", LOSSES)
    elsewhere = past_run(Project(tmp_path / "other"), "theirs")
    project.archive_dir.mkdir()
    linked = archived(project, "linked")
    linked.folder.symlink_to(elsewhere.folder)
    before = files_below(tmp_path)
    for place in (RunPlace(project), linked):
        with pytest.raises(UserError, match="not a folder of the archive"):
            delete_run(place)
    shutil.rmtree(project.archive_dir)
    project.archive_dir.symlink_to(elsewhere.folder.parent)
    with pytest.raises(UserError, match="not a folder of the archive"):
        delete_run(archived(project, "theirs"))
    assert files_below(tmp_path).keys() == before.keys()


@pytest.mark.slow
def test_a_run_that_is_brought_back_ends_in_the_same_bytes(
    project: Project, finished: tuple[Project, list[Event]]
) -> None:
    """Paused, archived with its note, followed by another; then it goes on, and the other is archived."""
    train(project, until=step_done(5))
    write_note(project, "to be gone on with")
    archive_present(project)
    (first,) = run_places(project)
    assert describe(first).note == "to be gone on with" and first.can_be_changed
    train(project, None, "auto", until=step_done(2))
    selected = project.config_file.read_bytes()
    bring_back(first)
    assert project.config_file.read_bytes() == selected and read_note(project) == "to be gone on with"
    assert not first.folder.exists()
    present, second = run_places(project)
    facts = [describe(place).summary for place in (present, second)]
    assert [run.steps for run in facts if run] == [5, 2]
    events = train(project, None, "resume")
    begun = next(event for event in events if isinstance(event, Started))
    assert begun.step == 5 and isinstance(events[-1], Finished)
    for name in ("adapters.safetensors", "adapter_config.json"):
        assert (project.adapters_dir / name).read_bytes() == (finished[0].adapters_dir / name).read_bytes()
