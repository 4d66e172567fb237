"""What the campaigns are made of: a disk that fails on command, and judges that see a broken promise."""

import errno
from pathlib import Path

from engine.files import write_atomic
from engine.training.checkpoint_folders import checkpoint_folders
from engine.training.events import CheckpointSaved, Paused
from engine.training.state import RunState
from tests.campaigns.bench import Bench, Session, pause_at, sentence_faults, standing_faults
from tests.campaigns.faults import FaultyDisk

import pytest

SENTENCE = "Cannot write to runs: No space left on device; free some disk space."


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"))


def test_a_failed_request_is_the_one_that_was_meant(tmp_path: Path) -> None:
    """Each in its turn; a file is replaced or stays as it was."""
    path = tmp_path / "file"
    with FaultyDisk(tmp_path).mounted() as disk:
        write_atomic(path, "old")
    failed = []
    for number in range(1, disk.asked + 1):
        faulty = FaultyDisk(tmp_path, number, errno.EROFS)
        with faulty.mounted(), pytest.raises(OSError, match="Read-only"):
            write_atomic(path, "new")
        failed.append(faulty.failed)
        assert path.read_text() == ("new" if number == disk.asked else "old")
    assert failed == ["open", "write", "fsync", "chmod", "replace", "fsync"]
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_failed_write_has_written_half(tmp_path: Path) -> None:
    """As a disk does that becomes full."""
    with FaultyDisk(tmp_path, 2).mounted(), pytest.raises(OSError, match="No space"):
        (tmp_path / "file").write_text("abcdef")
    assert (tmp_path / "file").read_text() == "abc"


def test_a_disk_fails_once_or_for_good(tmp_path: Path) -> None:
    """And what lies elsewhere is left alone."""
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    for for_good, works in ((True, False), (False, True)):
        with FaultyDisk(inside, 1, for_good=for_good).mounted():
            with pytest.raises(OSError, match="No space"):
                (inside / "a").touch()
            outside.write_text("x")
            if works:
                (inside / "b").write_text("x")
            else:
                with pytest.raises(OSError, match="No space"):
                    (inside / "b").write_text("x")


def test_another_end_is_seen(bench: Bench) -> None:
    """One byte of the best adapter, and a half-written file."""
    project = bench.copy()
    bench.sit(project)
    assert bench.faults_of(project) == []
    content = bytearray(project.adapter_file.read_bytes())
    content[-1] ^= 1
    project.adapter_file.write_bytes(content)
    (project.run_dir / ".partial-x").touch()
    assert bench.faults_of(project) == ["ended in other bytes", "left .partial-x"]


def test_what_a_refused_session_broke_is_seen(bench: Bench) -> None:
    """A damaged or missing checkpoint, a state that claims too much or cannot be read."""
    project = bench.copy()
    session = bench.sit(project, pause_at(5))
    saved = next(event for event in session.events if isinstance(event, CheckpointSaved))
    told = Session([saved], SENTENCE)
    assert standing_faults(project, told) == ["the state says paused"]
    RunState("failed", "tiny").save(project.state_file)
    assert standing_faults(project, told) == []
    newest = checkpoint_folders(project.run_dir)[0]
    (newest / "state.json").write_text("{}")
    assert standing_faults(project, told) == [f"{newest.name} is damaged"]
    assert isinstance(session.events[-1], Paused)
    project.state_file.write_text("{")
    newest.rename(project.root / "away")
    later = Session([CheckpointSaved(9, newest, 0.1)], SENTENCE)
    assert standing_faults(project, later) == [
        "the checkpoint of step 9 is gone",
        "the state cannot be read",
    ]


@pytest.mark.parametrize("words", ["", "Traceback", "No advice.", "Two\nlines; mend it.", "No end; mend it"])
def test_an_unclear_refusal_is_seen(words: str) -> None:
    """One line that says what and fix, like a refusal of ours."""
    assert sentence_faults(words) and not sentence_faults(SENTENCE)
