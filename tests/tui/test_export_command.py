"""`export` on the command line: what it writes, what it says, and what it leaves behind where it refuses."""

import hashlib
import json
import shutil
import sys
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.export.targets import compared
from engine.model.mlx_lm_adapter import BASE_PRINT
from engine.project import Project
from tests.support.tiny import RUN, files_below, tiny_project, train
from tui.cli.main import main

import pytest

Run = Callable[..., int]


@pytest.fixture(scope="session")
def trained_template(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished run, only ever copied."""
    project = tiny_project(tmp_path_factory.mktemp("trained") / "project")
    train(project, RUN.updated({"learning_rate": 3e-2}))
    return project


@pytest.fixture
def project(trained_template: Project, tmp_path: Path) -> Project:
    """A finished run of this test's own."""
    return Project(Path(shutil.copytree(trained_template.root, tmp_path / "project")))


@pytest.fixture
def export(project: Project, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command and return its exit code; its files are read again without llama.cpp."""
    monkeypatch.setattr("engine.export.llama_cpp.is_installed", lambda: False)

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["mqlora-tui", "-C", str(project.root), "export", *arguments])
        return main()

    return run


@pytest.mark.parametrize(
    ("arguments", "problem", "fix"),
    [
        ([], "No program is named", "choose one with --to: ollama, llama.cpp"),
        (["--to", "py\x1btorch"], "--to names no program", "choose one with --to"),
        (["--to", "ollama", "--bits", "6"], "ollama cannot be written with 6 bits", "one of: 4, 8, 16"),
        (["--to", "mlx", "--bits", "0"], "mlx cannot be written with 0 bits", "one of: 4, 6, 8, 16"),
        (["--to", "peft", "--bits", "4"], "--bits says nothing about peft", "leave it out"),
        (["--to", "mlx", "--base-name", "a/b"], "--base-name is for --to peft", "leave it out"),
        (["--to", "peft"], "PEFT has to know the base model by its name", "--base-name ORGANISATION/MODEL"),
        (["--to", "gguf", "--checkpoint", "none"], "There is no checkpoint none", "checkpoint_epoch1_step12"),
        (["--to", "gguf", "--adapter", "nowhere"], "Cannot use the adapter in", "folder with an adapter"),
        (["--to", "gguf", "--checkpoint", "a", "--adapter", "b"], "both name an adapter", "leave one"),
        (["--compare", "--to", "mlx"], "--compare tries every form", "leave --to"),
        (["--compare", "--bits", "0"], "--compare tries every form", "--bits"),
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_refused(
    project: Project,
    export: Run,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    problem: str,
    fix: str,
) -> None:
    """In one sentence with a fix, and nothing is left behind."""
    refused(project, export, capsys, arguments, problem, fix)


def refused(
    project: Project,
    export: Run,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    problem: str,
    fix: str,
) -> None:
    """The command ends with 1, one sentence, and the project as it was."""
    before = everything(project.root)
    assert export(*arguments) == 1
    printed = capsys.readouterr()
    said = " ".join(printed.err.split())
    assert problem in said and fix in said, said
    assert printed.out == "" and "Traceback" not in said and "\x1b" not in said
    assert everything(project.root) == before


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def has_other_base(project: Project) -> None:
    path = project.adapters_dir / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {BASE_PRINT: "0" * 64}))


def is_gemma(project: Project) -> None:
    path = project.models_dir / "tiny" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_type": "gemma", "head_dim": 8}))
    path = project.adapters_dir / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {BASE_PRINT: ""}))


def has_no_tokenizer(project: Project) -> None:
    (project.models_dir / "tiny" / "tokenizer.json").unlink()


def has_no_model(project: Project) -> None:
    shutil.rmtree(project.models_dir / "tiny")


def has_no_adapter(project: Project) -> None:
    shutil.rmtree(project.adapters_dir)


def is_there(project: Project) -> None:
    (project.exports_dir / "tiny-gguf").mkdir(parents=True)


def was_rejected(project: Project) -> None:
    (project.exports_dir / "tiny-gguf-rejected").mkdir(parents=True)


@pytest.mark.parametrize(
    ("change", "problem", "fix"),
    [
        (has_other_base, "was not trained on", f"take {BASE_PRINT} out of"),
        (is_gemma, "architecture 'gemma' cannot be written as GGUF", "--to mlx or --to peft"),
        (has_no_tokenizer, "tokenizer", ""),
        (has_no_model, "tiny", ""),
        (has_no_adapter, "There is no adapter to export yet", "train first: mqlora-tui"),
        (is_there, "tiny-gguf exists already", "remove it or choose another name"),
        (was_rejected, "tiny-gguf-rejected exists already", "remove it"),
    ],
)
def test_a_project_that_cannot_be_exported_is_refused(
    project: Project,
    export: Run,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Project], None],
    problem: str,
    fix: str,
) -> None:
    """By what is wrong there; it stays as it is."""
    change(project)
    refused(project, export, capsys, ["--to", "gguf"], problem, fix)


@pytest.mark.parametrize("to", ["gguf", "mlx"])
def test_a_small_disk_is_refused_before_anything_is_written(
    project: Project,
    export: Run,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    to: str,
) -> None:
    """With how much is needed, and where."""
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("engine.export.space.shutil.disk_usage", lambda _folder: usage(9, 9, 1000))
    where = f"are needed in {project.exports_dir} and 1.0 kB are free"
    refused(project, export, capsys, ["--to", to], where, "free some space")


@pytest.mark.parametrize(
    ("arguments", "files"),
    [
        (["gguf"], {"model.gguf", "adapter.gguf"}),
        (["llama.cpp", "--bits", "8"], {"model.gguf"}),
        (["ollama"], {"model.gguf", "adapter.gguf", "Modelfile"}),
        (["ollama", "--bits", "16"], {"model.gguf", "Modelfile"}),
        (["peft", "--base-name", "a/b"], {"adapter_model.safetensors", "adapter_config.json"}),
        (["mlx"], {"model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json",
                   "model.safetensors.index.json"}),
    ],
    ids=str,
)  # fmt: skip
def test_a_form_has_its_files_and_a_receipt_of_them(
    project: Project, export: Run, capsys: pytest.CaptureFixture[str], arguments: list[str], files: set[str]
) -> None:
    """SHA-256 of each file but the receipt's own, the losses, and the run."""
    assert export("--to", *arguments, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    folder = Path(told["folder"])
    assert folder.parent == project.exports_dir and everything(project.exports_dir)[0] == folder.name
    written = files_below(folder)
    assert written.keys() == files | {"receipt.json"}
    receipt = json.loads(written.pop("receipt.json"))
    assert receipt["files"] == {name: hashlib.sha256(data).hexdigest() for name, data in written.items()}
    gain = told["gain"]
    assert receipt["losses"] == {
        "base": gain["base"], "adapter": gain["adapter"], gain["form"]: gain["export"]
    }  # fmt: skip
    assert gain["base"] - gain["adapter"] > 0.1 and gain["kept"] == pytest.approx(1, abs=0.05)
    assert receipt["run"]["format"] and told["command"]
    # The model's scales are float32, so that those of the exact form are rounded.
    assert [note.split()[1] for note in told["notes"]] == (["scales"] if "adapter.gguf" in files else [])


def test_lm_studio_gets_publisher_and_name(project: Project, export: Run) -> None:
    """As its folder of models has them."""
    assert export("--to", "lmstudio", "--out", str(project.root / "studio")) == 0
    assert (project.root / "studio" / "mqlora" / "tiny-tuned" / "config.json").is_file()
    receipt = json.loads((project.root / "studio" / "receipt.json").read_text())
    assert "mqlora/tiny-tuned/model.safetensors" in receipt["files"]


def test_a_checkpoint_is_another_adapter(project: Project, export: Run) -> None:
    """Its name stands for its folder."""
    assert export("--to", "gguf", "--checkpoint", "checkpoint_epoch1_step9") == 0
    assert export("--to", "gguf", "--out", str(project.root / "best")) == 0
    one, best = project.exports_dir / "tiny-gguf", project.root / "best"
    assert (one / "adapter.gguf").read_bytes() != (best / "adapter.gguf").read_bytes()
    assert (one / "model.gguf").read_bytes() == (best / "model.gguf").read_bytes()


def test_another_adapter_goes_with_its_own_base_model(project: Project, export: Run) -> None:
    """Not with the one that is selected now."""
    given = Path(shutil.copytree(project.adapters_dir, project.root / "given"))
    other = Path(shutil.copytree(project.models_dir / "tiny", project.models_dir / "other"))
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"rope_theta": 500.0}))
    RUN.updated({"model": "other"}).save(project.config_file)
    assert export("--to", "gguf", "--adapter", str(given)) == 0
    assert [path.name for path in project.exports_dir.iterdir()] == ["tiny-gguf"]
    assert json.loads((project.exports_dir / "tiny-gguf" / "receipt.json").read_text())["run"] is None


def test_without_validation_rows_nothing_is_scored(
    project: Project, export: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which is said; to compare there is nothing then."""
    project.valid_file.unlink()
    assert export("--to", "gguf") == 0
    assert "Nothing is scored: there are no validation rows" in capsys.readouterr().out
    assert json.loads((project.exports_dir / "tiny-gguf" / "receipt.json").read_text())["losses"] == {}
    assert export("--compare") == 1
    assert "put validation rows there" in capsys.readouterr().err


def test_an_export_that_loses_what_was_trained_is_put_aside(
    project: Project, export: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the adapter had not been added: its files are there to be looked at, under another name."""

    def lost(rows: Any, _path: str, _adapter: Any) -> Any:
        return rows

    monkeypatch.setattr("engine.export.gguf_tensors.merged_rows", lost)
    assert export("--to", "gguf", "--bits", "16") == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "gguf-16 keeps 0% of what was trained" in said.replace("-0%", "0%") and "--bits 8" in said
    assert [path.name for path in project.exports_dir.iterdir()] == ["tiny-gguf-16-rejected"]
    assert {"model.gguf", "receipt.json"} == files_below(project.exports_dir / "tiny-gguf-16-rejected").keys()


def test_a_comparison_leaves_nothing(
    project: Project, export: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every form with what it keeps, and the smallest good one."""
    before = everything(project.root)
    assert export("--compare", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["form"] for row in told["forms"]] == [request.label for request in compared()]
    assert told["refused"] == {} and told["best"] in {row["form"] for row in told["forms"]}
    assert everything(project.root) == before
    assert export("--compare") == 0
    printed = capsys.readouterr().out
    assert f"★ {told['best']} is the smallest" in printed and "gain kept" in printed
