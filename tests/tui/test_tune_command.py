"""`tune` on the command line: what it says before and after, what it refuses, what it chooses."""

import json
import shlex
from pathlib import Path

from engine.config import TrainingConfig
from engine.project import Project
from tests.support.commands import Mqlora, caller
from tests.support.portuguese import pass_in_portuguese
from tests.support.tiny import RUN, pairs, tiny_project, write_rows

import pytest

SHORT = (
    "--set",
    "num_epochs=1",
    "--set",
    "eval_every=2",
    "--set",
    "max_steps=6",
    "--set",
    "learning_rate=0.0001",
)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = tiny_project(tmp_path / "project", train=24, valid=8)
    project.make_run_dir()
    RUN.save(project.config_file)
    return project


@pytest.fixture
def mqlora(project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Mqlora:
    return caller(project, capsys, monkeypatch)


def test_it_tells_the_price_trains_and_chooses_what_is_better(project: Project, mqlora: Mqlora) -> None:
    """The runs are in the history; asked again it has nothing to train and says the same."""
    done = mqlora("tune", *SHORT, "--learning-rates", "0.05", "--yes", "--apply")
    said = " ".join(done.out.split())
    assert done.code == 0, done.err
    before, after = said.split("All make a third of their steps", 1)
    assert "chosen now learning_rate 1e-4 6" in before and "12 steps at most" in after
    assert (
        "1 of 2: learning_rate 1e-4, to a third" in after
        and "2 of 2: learning_rate 0.05, to its end" in after
    )
    assert "learning_rate 0.05 beats the chosen settings by " in after and "go on with" not in after
    assert "learning_rate 0.01 -> 0.05" in after.partition("chosen for the next run: ")[2]
    assert TrainingConfig.load(project.config_file).learning_rate == 0.05
    told = " ".join(mqlora("tune", "--yes").out.split()).partition("train with them: ")[2]
    (file,) = [word.partition("=")[2] for word in shlex.split(told) if word.startswith("--config=")]
    assert TrainingConfig.load(Path(file)).learning_rate == 0.05
    (listed,) = mqlora("history", "--json").objects
    assert len(listed["runs"]) == 2
    assert "They are chosen already" in " ".join(mqlora("tune", "--yes", "--apply").out.split())
    project.config_file.unlink()
    said = " ".join(mqlora("tune", "--yes", "--apply").out.split())
    assert said.endswith("chosen for the next run: learning_rate 1e-4 -> 0.05")
    again = mqlora("tune", "--yes", "--json")
    assert again.code == 0 and "step_done" not in again.out
    found = again.objects[-1]["tuning"]
    assert [each["steps"] for each in found["tried"]] == [6, 6] and found["outcome"] == "better"
    assert not found["applied"]
    assert found["gain"]["mean"] > found["gain"]["margin"] and again.objects[0]["goes_on"]


def test_what_cannot_be_tuned_is_refused(project: Project, mqlora: Mqlora) -> None:
    """In one sentence, before anything is written."""
    for arguments, said, code in (
        (("--learning-rates", "1e-4;3e-4", "--yes"), "takes numbers with commas between them", 2),
        (("--learning-rates", "", "--yes"), "takes numbers with commas between them", 2),
        (("--ranks", "4.5", "--yes"), "takes whole numbers with commas between them", 2),
        (("--learning-rates", "7", "--yes"), "'learning_rate' is wrong", 1),
        (("--learning-rates", "0.0001", "--yes"), "Nothing is named that differs", 2),
        (("--learning-rates", "0.05"), "Nobody is here to be asked", 1),
    ):
        done = mqlora("tune", *SHORT, *arguments)
        assert done.code == code and said in " ".join(done.err.split()), done.err
    assert not project.tuning_file.exists() and not project.archive_dir.exists()
    project.valid_file.unlink()
    assert "compared on validation rows" in " ".join(mqlora("tune", "--yes").err.split())


@pytest.mark.slow
def test_another_tuning_is_not_gone_on_with(project: Project, mqlora: Mqlora) -> None:
    """Other settings, data and values are named, and `--restart` begins anew beside the old runs."""
    arguments = ("tune", *SHORT, "--yes", "--learning-rates")
    assert mqlora(*arguments, "0.05").code == 0
    assert "tries other values" in mqlora(*arguments, "0.01").err
    assert "was of other settings" in " ".join(mqlora("tune", *SHORT, "--set", "seed=9", "--yes").err.split())
    rows = project.train_file.read_text()
    project.train_file.write_text(rows + json.dumps(pairs(1, start=60)[0]) + "\n")
    assert "other data" in " ".join(mqlora(*arguments, "0.05").err.split())
    project.tuning_file.write_text("{")
    assert "begin anew with" in " ".join(mqlora(*arguments, "0.05").err.split())
    assert mqlora(*arguments, "0.05", "--restart").code == 0
    assert len(list(project.archive_dir.iterdir())) == 4


@pytest.mark.slow
def test_in_portuguese(tmp_path: Path) -> None:
    """In a process that speaks it."""
    pass_in_portuguese(tmp_path, f"{__file__}::{test_numbers_are_those_of_the_language.__name__}")


def test_numbers_are_those_of_the_language(project: Project, mqlora: Mqlora) -> None:
    """Rates as they may be typed."""
    from engine.i18n.languages import language

    write_rows(project.test_file, pairs(6, start=300))
    done = mqlora("tune", *SHORT, "--learning-rates", "0.05", "--yes")
    wanted = "learning_rate 0,05" if language() == "pt" else "learning_rate 0.05"
    assert (
        wanted in " ".join(done.out.split()) and ("à parte" if language() == "pt" else "held out") in done.out
    )
