"""The command line: what it does and prints, and its exit codes."""

import json
import shutil
from collections.abc import Iterator
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

from engine.chat import ChatSession, ReplyChunk
from engine.config import TrainingConfig
from engine.dataset.jsonl.turns import Message
from engine.errors import UserError
from engine.project import Project
from tests.support.commands import QUICK, Mqlora, caller
from tests.support.peft_form import as_peft
from tests.support.tiny import pairs, tiny_project, write_rows
from tui.console import print_json

import pytest


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return tiny_project(tmp_path)


@pytest.fixture
def mqlora(project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Mqlora:
    """Runs one command in the tiny project, in this process."""
    return caller(project, capsys, monkeypatch)


def test_train_then_every_reader(mqlora: Mqlora, project: Project) -> None:
    """A run can be trained, plotted, reported and talked to from the command line."""
    trained = mqlora(*QUICK)
    assert trained.code == 0 and "Finished at step 6" in trained.out
    lines = project.metrics_file.read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert len(project.metrics_csv.read_text().splitlines()) == 7
    assert mqlora("plot").code == 0
    assert project.dashboard_png.read_bytes()[:4] == project.analysis_png.read_bytes()[:4] == b"\x89PNG"
    assert "training_dashboard.png" in mqlora("report").out
    [answer] = mqlora("report", "--json").objects
    assert answer["steps"] == 6 and answer["status"] == "finished"
    [reply] = mqlora("chat", "--prompt", "Quanto é 1 mais 1?", "--max-tokens", "3", "--json").objects
    assert reply["adapter"] is True and reply["tokens"] <= 3
    [base] = mqlora("chat", "--prompt", "Quanto é 1 mais 1?", "--max-tokens", "3", "--json", "--base").objects
    assert base["adapter"] is False
    asked = ("chat", "--prompt", "Quanto é 1 mais 1?", "--max-tokens", "3", "--json", "--adapter")
    given = as_peft(project.adapters_dir, project.root / "given")
    [named] = mqlora(*asked, str(given)).objects
    assert named["reply"] == reply["reply"] and named["adapter_path"] == str(given)
    refused = mqlora(*asked, str(project.root / "none"))
    assert refused.code == 1 and "there is no such folder" in refused.err
    *events, end = mqlora("monitor", "--json").objects
    steps = [event["step"] for event in events if event["event"] == "step_done"]
    assert steps == [1, 2, 3, 4, 5, 6] and end["status"] == "finished"
    again = mqlora("train")
    assert again.code == 1 and "--restart" in again.err


def test_train_json_tells_every_step(mqlora: Mqlora) -> None:
    """With --json, train prints one event a line and the steps in order."""
    events = mqlora(*QUICK, "--json").objects
    assert [e["step"] for e in events if e["event"] == "step_done"] == [1, 2, 3, 4, 5, 6]
    assert events[-1]["event"] == "finished"


def test_check_profiles_and_validate_as_json(mqlora: Mqlora) -> None:
    """The looking commands give one JSON object each."""
    [report] = mqlora("check", "--json").objects
    assert {"chip", "memory", "mlx", "model", "data"} <= {check["id"] for check in report["checks"]}
    [advice] = mqlora("profiles", "--json").objects
    assert [offer["name"] for offer in advice["offers"]] == ["SAFE", "BALANCED", "PERFORMANCE"]
    [data] = mqlora("validate", "--json").objects
    assert data["is_trainable"] and data["train"]["examples"] == 22


def test_figures_of_a_damaged_model_are_not_shown_without_a_word(mqlora: Mqlora, project: Project) -> None:
    """They come from its settings alone."""
    assert "!" not in mqlora("profiles").out
    (weights,) = project.models_dir.glob("tiny/*.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1])
    assert " ! " in (told := mqlora("profiles").out) and "is not whole" in told
    [advice] = mqlora("profiles", "--json").objects
    assert "is not whole" in advice["model_problem"]
    shutil.rmtree(project.models_dir)
    without = mqlora("profiles")
    assert without.code == 0 and "PERFORMANCE" in without.out and "No base model in" in without.out


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("export", "--to", "peft", "--base-name", ""), "--base-name"),
        (("export", "--to", "gguf", "--checkpoint="), "--checkpoint"),
        (("selftest", "--model", ""), "--model"),
        (("import", "rows.csv", "--text", ""), "--text"),
        (("get", ""), "NAME"),
        (("convert", ""), "FOLDER"),
        (("use", ""), "FOLDER"),
        (("train", "--profile", ""), "--profile"),
        (("import", "rows.csv", "--prompt="), "--prompt"),
        (("chat", "--adapter", "", "--prompt", "Olá"), "--adapter"),
        (("train", "--hosts="), "--hosts"),
        (("fit", "--config", ""), "--config"),
        (("-C", "", "check"), "--directory"),
    ],
)
def test_an_empty_value_does_not_count_as_none(mqlora: Mqlora, arguments: tuple[str, ...], name: str) -> None:
    """A shell's variable that is not set would else choose the best adapter, or the current folder."""
    outcome = mqlora(*arguments)
    assert outcome.code == 2 and outcome.err.startswith(f"{name} is given without a value; write one")


def test_the_selected_model_is_looked_at_and_asked(
    mqlora: Mqlora, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not the first one, while no run has another."""
    shutil.copytree(project.models_dir / "tiny", project.models_dir / "another")
    asked: list[str] = []

    def asking(_session: ChatSession, _project: Project, model: str, _adapter: Path | None = None) -> None:
        asked.append(model)
        raise UserError("No replies here", "look at who was asked")

    monkeypatch.setattr(ChatSession, "__init__", asking)
    for model in ("another", "tiny"):
        TrainingConfig(model=model).save(project.config_file)
        [report] = mqlora("check", "--json").objects
        [found] = [check["value"] for check in report["checks"] if check["id"] == "model"]
        assert found.startswith(f"models/{model},")
        mqlora("chat", "--prompt", "Olá")
        assert asked.pop() == model


def test_validate_names_line_and_fix(mqlora: Mqlora, project: Project) -> None:
    """Faults are listed with their line; usable rows keep the data trainable."""
    write_rows(project.train_file, [*pairs(3), {"prompt": "x"}, {"prompt": "a", "completion": ""}])
    outcome = mqlora("validate")
    assert outcome.code == 0
    assert "'completion' is missing" in outcome.out and "'completion' is empty" in outcome.out


def test_clean_writes_a_copy_and_says_what_was_dropped(mqlora: Mqlora, project: Project) -> None:
    """In words and as JSON; the copy passes a strict check of what it is for."""
    write_rows(project.train_file, [*pairs(3), {"prompt": "x"}, {"prompt": "a", "completion": ""}])
    outcome = mqlora("clean")
    assert outcome.code == 0
    assert "train.jsonl line 5: 'completion' is empty" in outcome.out
    assert "3 train, 5 valid; dropped 2, set apart 0" in outcome.out
    [mended] = mqlora("mend", "--json").objects
    assert (mended["train"], mended["valid"], Path(mended["folder"]).name) == (3, 5, "mended-2")
    assert (mended["dropped"], mended["moved"], mended["warned"]) == (2, 0, 0)
    before = project.train_file.read_bytes()
    used = mqlora("use", str(project.data_dir / "mended"))
    assert used.code == 0 and "data/backup-1; to put it back: " in used.out
    assert mqlora("validate", "--strict").code == 0
    assert mqlora("use", mended["folder"]).code == 1, "these are the same rows"
    [undone] = mqlora("undo", "--json").objects
    assert undone["files"] == ["train.jsonl"] and project.train_file.read_bytes() == before
    assert not (project.data_dir / "backup-1").exists() and "no backup" in mqlora("undo").err


ONE_STEP = ("--set", "max_steps=1", "--set", "max_seq_length=64", "--set", "eval_every=0")


@pytest.mark.parametrize(
    "command",
    [
        ("validate",),
        ("clean",),
        ("profiles",),
        ("chat", "--prompt", "Olá?", "--max-tokens", "1"),
        ("train", *ONE_STEP),
    ],
    ids=lambda command: command[0],
)
def test_of_several_models_it_is_said_which_is_used(
    mqlora: Mqlora, project: Project, command: tuple[str, ...]
) -> None:
    """On stderr, or as a field of the JSON; nothing where there is but one, or one is selected."""
    said = "Base model: another, the first of 2; another is chosen as 'model' of the configuration."
    assert "Base model" not in mqlora("validate").err
    shutil.copytree(project.models_dir / "tiny", project.models_dir / "another")
    assert mqlora(*command).err.count(said) == 1
    options = (*command, "--restart") if command[0] == "train" else command
    outcome = mqlora(*options, "--json")
    assert said not in outcome.err
    assert "another" in [answer.get("model") for answer in outcome.objects]
    if command[0] == "train":
        assert said not in mqlora(*options, "--set", "model=tiny").err


def test_the_words_of_clean_are_what_it_does(mqlora: Mqlora, project: Project) -> None:
    """Announced are the rows that it drops, told what stays and what was tidied."""
    rows = [*pairs(3), *pairs(2), {"prompt": "a", "completion": "TODO"}, {"prompt": "x"}]
    write_rows(project.train_file, rows)
    with project.train_file.open("ab") as file:
        file.write(b"\n")
    assert "without 3 rows of these are written by: " in mqlora("validate").out
    outcome = mqlora("clean")
    assert "  · train.jsonl, cleaned: 1 line is blank\n" in outcome.out
    assert "  ! kept in spite of warnings: 1 row, of which only you can tell" in outcome.out
    assert "4 train, 5 valid; dropped 3, set apart 0" in outcome.out


def test_strict_validation_fails_for_warnings_too_but_not_for_notes(mqlora: Mqlora, project: Project) -> None:
    """In words and as JSON; all that is said has a symbol."""
    good = project.train_file.read_bytes()
    project.train_file.write_bytes(good.rstrip(b"\n").replace(b"\n", b"\r\n"))
    assert mqlora("validate", "--strict").code == 0
    [report] = mqlora("validate", "--strict", "--json").objects
    found = [(fault["kind"], fault["severity"]) for fault in report["train"]["faults"]]
    assert found == [("windows_line_ends", "note"), ("no_last_line_break", "note")]
    project.train_file.write_bytes(good + b'{"text": "mixed"}\n')
    assert mqlora("validate").code == 0
    assert mqlora("validate", "--strict").code == mqlora("validate", "--strict", "--json").code == 1
    project.train_file.write_bytes(good + b"x\n")
    assert mqlora("validate").code == 0 and mqlora("validate", "--strict").code == 1


def test_json_holds_no_number_that_is_not_finite(capsys: pytest.CaptureFixture[str]) -> None:
    """NaN is not JSON: strict readers would refuse the whole line."""
    print_json({"loss": float("nan"), "losses": (1.0, float("inf")), "deep": {"x": [float("-inf")]}})
    assert capsys.readouterr().out == '{"loss": null, "losses": [1.0, null], "deep": {"x": [null]}}\n'


@pytest.fixture
def limited(project: Project) -> Project:
    """The tiny project with a model that says how much it takes."""
    path = project.models_dir / "tiny" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "max_position_embeddings": 400}))
    return project


def test_how_a_reply_ended_is_reported(mqlora: Mqlora, limited: Project) -> None:
    """On stderr for people, in the object for programs; the reply alone is on stdout."""
    cut = mqlora("chat", "--prompt", "Olá", "--max-tokens", "3")
    assert cut.code == 0 and "cut at 3 tokens; --max-tokens" in cut.err and "cut" not in cut.out
    [reply] = mqlora("chat", "--prompt", "Olá", "--max-tokens", "3", "--json").objects
    assert reply["end"] == "length" and reply["tokens"] == 3
    full = mqlora("chat", "--prompt", "a" * 330, "--max-tokens", "200")
    assert full.code == 0 and "this model takes 400 tokens" in full.err
    assert "reading the question" not in full.err, "progress is for terminals"


def test_a_prompt_beyond_the_context_is_refused_before_any_is_answered(
    mqlora: Mqlora, limited: Project
) -> None:
    """With both numbers, and nothing on stdout."""
    refused = mqlora("chat", "--prompt", "Olá", "--prompt", "a" * 500)
    assert refused.code == 1 and not refused.out
    assert "The question has 5" in refused.err and "takes 400" in refused.err


def test_a_prompt_that_is_no_text_is_refused(mqlora: Mqlora) -> None:
    """As a shell in another encoding hands it over."""
    refused = mqlora("chat", "--prompt", "Ol\udce1")
    assert refused.code == 1 and "no text" in refused.err and "Traceback" not in refused.err


def test_questions_from_a_pipe(
    mqlora: Mqlora, limited: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty line is no end; a conversation that has grown too long is refused with the way out."""
    asked: list[int] = []
    reply = ChatSession.reply

    def count(self: ChatSession, messages: list[Message], *rest: Any, **options: Any) -> Iterator[ReplyChunk]:
        asked.append(len(messages))
        return reply(self, messages, *rest, **options)

    monkeypatch.setattr(ChatSession, "reply", count)
    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(b"um\n\n  \ndois\n" + b"a" * 370)))
    refused = mqlora("chat", "--max-tokens", "9")
    assert asked == [1, 3, 5]
    assert refused.code == 1 and "The conversation has" in refused.err and "begin anew" in refused.err
