"""`export` on the command line: each refusal is a sentence with a fix, and leaves nothing behind."""

import json
import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

from engine.model.mlx_lm_adapter import BASE_PRINT
from engine.project import Project

import pytest

Run = Callable[..., int]


@pytest.mark.parametrize(
    ("arguments", "problem", "fix", "code"),
    [
        ([], "No program is named", "choose one with --to: ollama, llama.cpp", 2),
        (["--to", "py\x1btorch"], "--to names no program", "choose one with --to", 2),
        (["--to", "ollama", "--bits", "6"], "ollama cannot be written with 6 bits", "one of: 4, 8, 16", 2),
        (["--to", "mlx", "--bits", "0"], "mlx cannot be written with 0 bits", "one of: 4, 6, 8, 16", 2),
        (["--to", "peft", "--bits", "4"], "--bits says nothing about peft", "leave it out", 2),
        (["--to", "mlx", "--base-name", "a/b"], "--base-name is for --to peft", "leave it out", 2),
        (
            ["--to", "peft"],
            "PEFT has to know the base model by its name",
            "ORGANISATION/MODEL: --base-name",
            1,
        ),
        (
            ["--to", "peft", "--base-name", "not a name"],
            "'not a name' is no name of a model",
            "ORGANISATION/MODEL",
            2,
        ),
        (
            ["--to", "gguf", "--checkpoint", "none"],
            "There is no checkpoint none",
            "checkpoint_epoch1_step12",
            1,
        ),
        (["--to", "gguf", "--adapter", "nowhere"], "Cannot use the adapter in", "folder with an adapter", 1),
        (["--to", "gguf", "--checkpoint", "a", "--adapter", "b"], "both name an adapter", "leave one", 2),
        (["--to", "gguf", "--out", "."], ". exists already", "choose another name", 1),
        (["--to", "gguf", "--out", "/"], "/ exists already", "choose another name", 1),
        (["--compare", "--to", "mlx"], "--compare tries every form", "leave --to", 2),
        (["--compare", "--bits", "0"], "--compare tries every form", "--bits", 2),
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_refused(
    trained: Project,
    export: Run,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    problem: str,
    fix: str,
    code: int,
) -> None:
    """In one sentence with a fix, and nothing is left behind; 2 is for what no project could be asked."""
    refused(trained, export, capsys, arguments, problem, fix, code)


def refused(
    trained: Project,
    export: Run,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    problem: str,
    fix: str,
    code: int = 1,
) -> None:
    """The command ends with its code, one sentence, and the project as it was."""
    before = everything(trained.root)
    assert export(*arguments) == code
    printed = capsys.readouterr()
    said = " ".join(printed.err.split())
    assert problem in said and fix in said, said
    assert printed.out == "" and "Traceback" not in said and "\x1b" not in said
    assert everything(trained.root) == before


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def has_other_base(trained: Project) -> None:
    path = trained.adapters_dir / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {BASE_PRINT: "0" * 64}))


def is_gemma(trained: Project) -> None:
    path = trained.models_dir / "tiny" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_type": "gemma", "head_dim": 8}))
    path = trained.adapters_dir / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {BASE_PRINT: ""}))


def has_no_tokenizer(trained: Project) -> None:
    (trained.models_dir / "tiny" / "tokenizer.json").unlink()


def has_no_model(trained: Project) -> None:
    shutil.rmtree(trained.models_dir / "tiny")


def has_no_adapter(trained: Project) -> None:
    shutil.rmtree(trained.adapters_dir)


def is_there(trained: Project) -> None:
    (trained.exports_dir / "tiny-gguf").mkdir(parents=True)


def was_rejected(trained: Project) -> None:
    (trained.exports_dir / "tiny-gguf-rejected").mkdir(parents=True)


@pytest.mark.parametrize(
    ("change", "problem", "fix"),
    [
        (has_other_base, "was not trained on", f"take {BASE_PRINT} out of"),
        (is_gemma, "architecture 'gemma' cannot be written as GGUF", "--to mlx or --to peft"),
        (has_no_tokenizer, "tokenizer", ""),
        (has_no_model, "tiny", ""),
        (has_no_adapter, "There is no adapter to export yet", "train first: "),
        (is_there, "tiny-gguf exists already", "remove it or choose another name"),
        (was_rejected, "tiny-gguf-rejected exists already", "remove it"),
    ],
)
def test_a_project_that_cannot_be_exported_is_refused(
    trained: Project,
    export: Run,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Project], None],
    problem: str,
    fix: str,
) -> None:
    """By what is wrong there; it stays as it is."""
    change(trained)
    refused(trained, export, capsys, ["--to", "gguf"], problem, fix)


@pytest.mark.parametrize("to", ["gguf", "mlx"])
def test_a_small_disk_is_refused_before_anything_is_written(
    trained: Project,
    export: Run,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    to: str,
) -> None:
    """With how much is needed, and where."""
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("engine.export.space.shutil.disk_usage", lambda _folder: usage(9, 9, 1000))
    where = f"are needed in {trained.exports_dir} and 1.0 kB are free"
    refused(trained, export, capsys, ["--to", to], where, "free some space")
