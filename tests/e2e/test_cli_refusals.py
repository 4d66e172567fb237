"""What the command line refuses: one sentence on what is wrong, one on the fix, and the exit code."""

import json
import os
import sys
from pathlib import Path

from engine.project import Project
from tests.support.commands import QUICK, Mqlora, caller, tree
from tests.support.tiny import tiny_project
from tui.cli.main import main

import pytest


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return tiny_project(tmp_path)


@pytest.fixture
def mqlora(project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Mqlora:
    """Runs one command in the tiny project, in this process."""
    return caller(project, capsys, monkeypatch)


@pytest.mark.parametrize("content", ["", "{not json}\n", '{"prompt": "x"}\n', "[1, 2]\n", "\xff\n"])
def test_unusable_data_is_refused(mqlora: Mqlora, project: Project, content: str) -> None:
    """Data without a usable row: validate exits 1, train refuses in one sentence and writes nothing."""
    project.train_file.write_bytes(content.encode("latin-1"))
    before = tree(project.root)
    assert mqlora("validate").code == 1
    refused = mqlora(*QUICK)
    assert refused.code == 1 and refused.err.count("\n") == 1 and "train.jsonl" in refused.err
    assert tree(project.root) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("train", "--set", "batchsize=2"), "did you mean 'batch_size'?"),
        (("train", "--set", "batch_size=0"), "batch_size"),
        (("train", "--set", "learning_rate=fast"), "learning_rate"),
        (("train", "--set", "model=nowhere"), "nowhere"),
        (("train", "--config", "none.json"), "none.json"),
        (("train", "--resume"), "no run to resume"),
        (("train", "--set", "lora_layers=0"), "lora_layers"),
        (("monitor",), "no run"),
        (("plot",), "mqlora-tui -C {root} train"),
        (("report",), "mqlora-tui -C {root} train"),
        (("train", "--set", "init_adapter=none"), "there is no such folder"),
    ],
)
def test_mistakes_get_one_sentence(
    mqlora: Mqlora, project: Project, arguments: tuple[str, ...], said: str
) -> None:
    """Every mistake: exit 1, one sentence with the place or the fix, no traceback, no file touched."""
    before = tree(project.root)
    refused = mqlora(*arguments)
    assert refused.code == 1 and said.format(root=project.root) in refused.err
    assert "Traceback" not in refused.err and refused.err.count("\n") == 1
    assert tree(project.root) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("fly",), "fly"),
        (("train", "--wings"), "--wings"),
        (("chat", "--max-tokens", "0"), "--max-tokens"),
        (("train", "--set", "batch_size"), "KEY=VALUE"),
        (("train", "--profile", "TURBO"), "SAFE, BALANCED, PERFORMANCE"),
        (("train", "--resume", "--restart"), "--restart"),
        (("chat", "--prompt", "  "), "empty"),
        (("chat", "--prompt", "x", "--base", "--adapter", "a"), "--base and --adapter"),
        (("serve", "--base", "--adapter", "a"), "--adapter and --base"),
        (("get", "--link"), "--name and --link"),
        (("export", "--to", "word"), "choose one with --to"),
        (("--go-on", "train"), "options of the app"),
    ],
)
def test_usage_errors_exit_with_2(mqlora: Mqlora, arguments: tuple[str, ...], said: str) -> None:
    """What no project could be asked: unknown words, values out of range, options that exclude each other."""
    refused = mqlora(*arguments)
    assert refused.code == 2 and said in refused.err and "Traceback" not in refused.err


def test_a_missing_project_folder_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """-C with a folder that is not there names it."""
    monkeypatch.setattr(sys, "argv", ["mqlora-tui", "-C", str(tmp_path / "none"), "check"])
    assert main() == 1 and "none" in capsys.readouterr().err


def test_the_app_without_a_terminal_names_train(mqlora: Mqlora, project: Project) -> None:
    """Where stdout is no terminal the app refuses and says what to use."""
    refused = mqlora()
    assert refused.code == 1 and f"mqlora-tui -C {project.root} train" in refused.err


def test_a_missing_model_is_refused(mqlora: Mqlora, project: Project) -> None:
    """Without a base model train and chat say where to put one."""
    (project.models_dir / "tiny" / "config.json").unlink()
    for command in ("train", "chat"):
        refused = mqlora(command)
        assert refused.code == 1 and f"mqlora-tui -C {project.root} demo" in refused.err


def test_a_damaged_model_is_refused(mqlora: Mqlora, project: Project) -> None:
    """Weights that are cut short end in a sentence, and no run is begun."""
    weights = project.models_dir / "tiny" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    refused = mqlora(*QUICK)
    assert refused.code == 1 and "model.safetensors is not whole" in refused.err
    assert not project.state_file.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_refused(mqlora: Mqlora, project: Project) -> None:
    """A project that cannot be written to is refused before anything happens."""
    project.root.chmod(0o500)
    try:
        assert "Cannot write" in mqlora(*QUICK).err
    finally:
        project.root.chmod(0o700)


def test_a_file_in_the_place_of_the_run_folder_is_refused(mqlora: Mqlora, project: Project) -> None:
    """A run folder that cannot be made is refused with its path."""
    project.run_dir.write_text("in the way")
    refused = mqlora(*QUICK)
    assert refused.code == 1 and "Cannot write to" in refused.err
    assert project.run_dir.read_text() == "in the way"


def test_a_model_that_wants_to_run_code_is_refused(mqlora: Mqlora, project: Project) -> None:
    """A model folder with code of its own is never loaded."""
    config = project.models_dir / "tiny" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "model_file": "evil.py"}))
    refused = mqlora(*QUICK)
    assert refused.code == 1 and "code of its own" in refused.err


def test_another_configuration_is_refused_with_the_difference(mqlora: Mqlora, project: Project) -> None:
    """An unfinished run is not continued with other settings; the difference is shown."""
    assert mqlora(*QUICK).code == 0
    state = json.loads(project.state_file.read_text())
    project.state_file.write_text(json.dumps({**state, "status": "paused"}))
    refused = mqlora(*QUICK, "--set", "seed=5")
    assert refused.code == 1 and "seed 0 -> 5" in refused.err
    assert mqlora(*QUICK, "--set", "seed=5", "--restart").code == 0
    assert len(list((project.run_dir / "archive").iterdir())) == 1


def test_json_needs_a_question(mqlora: Mqlora) -> None:
    """A conversation has no JSON form, so the option is refused instead of ignored."""
    refused = mqlora("chat", "--json")
    assert refused.code == 2 and "--prompt" in refused.err
    error = {"problem": "--json answers questions", "fix": "name one with --prompt"}
    assert refused.objects == [{"error": error}]
