"""The list of runs: what each was, how they differ, and what a damaged or hostile folder says."""

import json
import os
from collections.abc import Callable
from pathlib import Path

from engine.format import FORMAT
from engine.project import Project
from engine.receipt.form import Base, Data, Losses, Machine, Receipt, config_sha256
from engine.runs.differences import Sameness, differing_settings, setting_text, shared_origin
from engine.runs.note import LONGEST, read_note, write_note
from engine.runs.places import RunPlace, archived, run_places
from engine.runs.record import RunRecord, describe
from tests.support.run_files import line, write_checkpoint, write_lines, write_run

import pytest

LOSSES = [3.0 - 0.02 * step for step in range(40)]
A, B, C = ("a" * 64, "b" * 64, "c" * 64)


def past_run(project: Project, name: str, written: float = 0.0, **config: object) -> RunPlace:
    """Write an archived run; `written` is when, in seconds since 1970."""
    place = archived(project, name)
    made = write_run(project.root, LOSSES, {20: 2.7, 40: 2.3}, config=config, run_name=place.project.run_name)
    os.utime(made.state_file, (written, written))
    return place


def leave_receipt(place: RunPlace, data: str = A, base: str = B) -> None:
    """Write the receipt of a run."""
    settings = json.loads(place.project.config_file.read_text())
    left_out = ("format", "answers_percent", "max_memory_gb", "trackers")
    config = {name: value for name, value in settings.items() if name not in left_out} | {"model": "tiny"}
    Receipt(
        data=Data(both=data, train=None, valid=None),
        base=Base(name="tiny", fingerprint=base),
        template=C,
        config=config,
        configuration=config_sha256(config),
        seed=0,
        adapter=None,
        last_adapter=None,
        versions={},
        machine=Machine(chip="", computes="", system=""),
        losses=Losses(base=3.1, best=2.3, best_step=40, last=2.3, last_training=2.2, steps=40),
        ended="completed",
    ).save(place.project.receipt_file)


def test_the_present_run_comes_first_then_the_newest(tmp_path: Path) -> None:
    """By when they were written last, whatever their folders are called now."""
    project = write_run(tmp_path, LOSSES)
    for name, written in {"b": 10.0, "z": 20.0, "a": 30.0}.items():
        past_run(project, name, written)
    (project.archive_dir / ".partial-old-x").mkdir()
    assert [place.name for place in run_places(project)] == ["", "a", "z", "b"]
    assert run_places(Project(tmp_path / "elsewhere")) == []


def test_a_run_is_shown_with_its_own_settings(tmp_path: Path) -> None:
    """Not with those of the file beside it, which may be the next run's."""
    project = write_run(tmp_path, LOSSES, {40: 2.3}, config={"learning_rate": 1e-3})
    assert describe(run_places(project)[0]).settings is None, "nothing tells them"
    config = {"learning_rate": 3e-4, "lora_rank": 16}
    write_checkpoint(project, 3, 40, {"config": config})
    past = past_run(project, "first", learning_rate=1e-4, lora_rank=16, answers_percent=100)
    present, first = [describe(place) for place in run_places(project)]
    assert (setting_text(present, "learning_rate"), setting_text(first, "learning_rate")) == ("3e-4", "1e-4")
    assert differing_settings([present, first]) == (
        "learning_rate",
        "num_epochs",
        "answers_percent",
    )
    leave_receipt(past)
    changed = json.loads(past.project.config_file.read_text()) | {"learning_rate": 5e-4}
    past.project.config_file.write_text(json.dumps(changed))
    assert setting_text(describe(past), "learning_rate") == "1e-4", "the receipt cannot be the next run's"
    assert setting_text(describe(past), "answers_percent") == "100", "the receipt does not tell"
    past.project.config_file.unlink()
    assert setting_text(describe(past), "answers_percent") == "?"
    assert len(first.curve) <= 16 and first.curve[0] > first.curve[-1]
    assert first.summary is not None and first.summary.best_val_loss == 2.3


def test_hashes_say_whether_runs_rest_on_the_same(tmp_path: Path) -> None:
    """Of the receipt, or of the newest checkpoint where the run has none yet."""
    project = Project(tmp_path)
    places = [past_run(project, name) for name in ("with", "without", "unknown")]
    leave_receipt(places[0])
    prints = {"data": A, "model": C, "template": "no hash \x1b[31m"}
    write_checkpoint(places[1].project, 0, 10, {"fingerprints": prints})
    with_receipt, without, unknown = map(describe, places)
    names = "data", "base model", "chat template or tokenizer"
    assert shared_origin(with_receipt, without) == [
        Sameness(name, same) for name, same in zip(names, (True, False, None), strict=True)
    ]
    assert [found.is_same for found in shared_origin(with_receipt, unknown)] == [None, None, None]


def test_what_can_be_done_with_an_archived_run_names_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands without one mean the present run; going on is not offered before it is brought back."""
    monkeypatch.chdir(tmp_path)
    project = write_run(tmp_path, LOSSES, {20: 2.7, 40: 2.3}, status="paused")
    place = past_run(project, "a b")
    state = json.loads(place.project.state_file.read_text())
    place.project.adapters_dir.mkdir()
    place.project.adapter_file.write_bytes(b"0")
    finished = describe(place).verdict
    assert finished is not None
    commands = [step.command for step in finished.next_steps]
    adapter = "--adapter 'checkpoints_qlora/archive/a b/adapters'"
    assert commands[0] == f"mqlora-tui chat {adapter}"
    assert commands[-1] == f"mqlora-tui export --to=ollama {adapter}"
    assert not any("plot" in command for command in commands)
    place.project.state_file.write_text(json.dumps(state | {"status": "paused"}))
    for known, is_offered in ((RunPlace(project), True), (place, False)):
        verdict = describe(known).verdict
        assert verdict is not None and any(item.kind == "resume" for item in verdict.advice) == is_offered


def _link(place: RunPlace) -> None:
    place.folder.symlink_to(place.project.root)


def _file(place: RunPlace) -> None:
    place.folder.write_text("x")


def _fifo(place: RunPlace) -> None:
    place.folder.mkdir()
    os.mkfifo(place.project.metrics_file)


def _parts(place: RunPlace) -> None:
    place.project.adapters_dir.mkdir(parents=True)


def _foreign(place: RunPlace) -> None:
    place.folder.mkdir()
    (place.folder / "holiday.jpg").write_text("x")


def _other_version(place: RunPlace) -> None:
    place.folder.mkdir()
    place.project.state_file.write_text(json.dumps({"format": FORMAT + 1}))


def _no_state(place: RunPlace) -> None:
    past_run(Project(place.project.root), place.name)
    place.project.state_file.unlink()


def _bad_state(place: RunPlace) -> None:
    past_run(Project(place.project.root), place.name)
    place.project.state_file.write_text('{"status": "finished", "step": 1e999')


def _bad_lines(place: RunPlace) -> None:
    past_run(Project(place.project.root), place.name)
    with place.project.metrics_file.open("ab") as file:
        file.write(b"\x00\xff\n" + b"[" * 100_000 + b"\n")


def _steps_in_disorder(place: RunPlace) -> None:
    past_run(Project(place.project.root), place.name)
    write_lines(place.project, line(9, 1.0, val_loss=0.5) + line(1, 2.0) + line(9, 3.0) + '{"step": 1}\n')


def _bad_settings(place: RunPlace) -> None:
    past_run(Project(place.project.root), place.name)
    place.project.config_file.write_text("[" * 100_000)


def _bad_receipt(place: RunPlace) -> None:
    past_run(Project(place.project.root), place.name)
    os.mkfifo(place.project.receipt_file)


def _bad_checkpoints(place: RunPlace) -> None:
    past_run(Project(place.project.root), place.name)
    state = json.loads(place.project.state_file.read_text()) | {"status": "paused"}
    place.project.state_file.write_text(json.dumps(state))
    (write_checkpoint(place.project, 0, 7, {}) / "state.json").write_text("{}")


DAMAGED: dict[str, tuple[Callable[[RunPlace], None], str]] = {
    "link": (_link, "It is a link, which is not followed"),
    "file": (_file, "It is no folder"),
    "empty": (lambda place: place.folder.mkdir(), "The folder is empty"),
    "named pipe": (_fifo, "training_metrics.json is a named pipe"),
    "parts": (_parts, "Only parts of a run are in it, which were moved out of the way"),
    "foreign": (_foreign, "There is no run in it"),
    "other version": (_other_version, "another version wrote it, or it was changed by hand"),
    "no state": (_no_state, "training_state.json is missing"),
    "bad state": (_bad_state, "training_state.json is damaged"),
    "bad lines": (_bad_lines, "2 lines of its metrics cannot be read"),
    "disorder": (_steps_in_disorder, "1 line of its metrics cannot be read"),
    "bad settings": (_bad_settings, "Its settings cannot be read"),
    "bad receipt": (_bad_receipt, "receipt.json is a named pipe"),
    "bad checkpoints": (_bad_checkpoints, "Its checkpoints are damaged"),
}


def test_each_damaged_folder_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    """And hides no other one."""
    project = Project(tmp_path)
    past_run(project, "\x1b[2J[bold]\n‮good")
    for name, (damage, _problem) in DAMAGED.items():
        damage(archived(project, name))
    records = {record.place.name: record for record in map(describe, run_places(project))}
    assert len(records) == 1 + len(DAMAGED)
    for name, (_damage, problem) in DAMAGED.items():
        assert problem in records[name].problem and not records[name].problem.endswith("."), name
    good = next(record for name, record in records.items() if name.endswith("good"))
    assert not good.problem and good.verdict is not None
    assert "\x1b" not in good.place.label and "\n" not in good.place.label


@pytest.mark.parametrize("is_link", [True, False])
def test_an_archive_that_is_no_folder_is_said_to_be_that(tmp_path: Path, is_link: bool) -> None:
    """Nothing behind a link is listed."""
    project = write_run(tmp_path / "project", LOSSES)
    past_run(Project(tmp_path / "other"), "theirs")
    if is_link:
        project.archive_dir.symlink_to(tmp_path / "other" / "checkpoints_qlora" / "archive")
    else:
        project.archive_dir.write_text("x")
    _present, archive = run_places(project)
    assert describe(archive).problem in ("It is a link, which is not followed", "It is no folder")
    assert not archive.can_be_changed


def test_a_note_is_kept_with_the_run(tmp_path: Path) -> None:
    """One line, harmless; an empty one is taken away, and what is no note of ours is none."""
    project = write_run(tmp_path, LOSSES)
    write_note(project, "  first try\nwith \x1b[31m rank 8  ")
    note = describe(RunPlace(project)).note
    assert note == "first try⏎with \\x1b[31m rank 8" and read_note(project) == note
    write_note(project, "x" * 10_000)
    assert len(read_note(project)) == LONGEST
    write_note(project, " ")
    assert not project.note_file.exists() and not read_note(project)
    os.mkfifo(project.note_file)
    assert read_note(project) == ""


def test_what_is_no_run_has_no_settings(tmp_path: Path) -> None:
    """A column of settings shows that they are not known."""
    place = archived(Project(tmp_path), "empty")
    place.folder.mkdir(parents=True)
    assert setting_text(RunRecord(place), "lora_rank") == "?"
    assert differing_settings([RunRecord(place), describe(past_run(Project(tmp_path), "b"))]) == ()
