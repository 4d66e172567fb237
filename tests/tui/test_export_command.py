"""`export` on the command line: what it writes and what it says."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.export.score import kept_gain
from engine.export.targets import compared
from engine.project import Project
from tests.support.tiny import RUN, files_below

import numpy as np
import pytest

Run = Callable[..., int]


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


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
    ids=lambda value: " ".join(sorted(value)),  # sets have no order of their own
)  # fmt: skip
def test_a_form_has_its_files_and_a_receipt_of_them(
    trained: Project, export: Run, capsys: pytest.CaptureFixture[str], arguments: list[str], files: set[str]
) -> None:
    """SHA-256 of each file but the receipt's own, the losses, and the run."""
    assert export("--to", *arguments, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    folder = Path(told["folder"])
    assert folder.parent == trained.exports_dir and everything(trained.exports_dir)[0] == folder.name
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
    # The model's scales are float32, so that those of matrices that stay as they are are rounded.
    stays = "adapter.gguf" in files or ("model.gguf" in files and set(arguments) & {"4", "8"})
    assert [note.split()[1] for note in told["notes"]] == (["scales"] if stays else [])


def test_lm_studio_gets_publisher_and_name(trained: Project, export: Run) -> None:
    """As its folder of models has them."""
    assert export("--to", "lmstudio", "--out", str(trained.root / "studio")) == 0
    assert (trained.root / "studio" / "mqlora" / "tiny-tuned" / "config.json").is_file()
    receipt = json.loads((trained.root / "studio" / "receipt.json").read_text())
    assert "mqlora/tiny-tuned/model.safetensors" in receipt["files"]


def test_a_checkpoint_is_another_adapter(trained: Project, export: Run) -> None:
    """Its name stands for its folder."""
    assert export("--to", "gguf", "--checkpoint", "checkpoint_epoch1_step9") == 0
    assert export("--to", "gguf", "--out", str(trained.root / "best")) == 0
    one, best = trained.exports_dir / "tiny-gguf", trained.root / "best"
    assert (one / "adapter.gguf").read_bytes() != (best / "adapter.gguf").read_bytes()
    assert (one / "model.gguf").read_bytes() == (best / "model.gguf").read_bytes()


def test_another_adapter_goes_with_its_own_base_model(trained: Project, export: Run) -> None:
    """Not with the one that is selected now."""
    given = Path(shutil.copytree(trained.adapters_dir, trained.root / "given"))
    other = Path(shutil.copytree(trained.models_dir / "tiny", trained.models_dir / "other"))
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"rope_theta": 500.0}))
    RUN.updated({"model": "other"}).save(trained.config_file)
    assert export("--to", "gguf", "--adapter", str(given)) == 0
    assert [path.name for path in trained.exports_dir.iterdir()] == ["tiny-gguf"]
    assert json.loads((trained.exports_dir / "tiny-gguf" / "receipt.json").read_text())["run"] is None


def test_without_validation_rows_nothing_is_scored(
    trained: Project, export: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which is said; to compare there is nothing then."""
    trained.valid_file.unlink()
    assert export("--to", "gguf") == 0
    assert "Nothing is scored: there is no " in capsys.readouterr().out
    assert json.loads((trained.exports_dir / "tiny-gguf" / "receipt.json").read_text())["losses"] == {}
    assert export("--compare") == 1
    assert "put validation rows there" in capsys.readouterr().err


def test_an_export_that_loses_what_was_trained_is_put_aside(
    trained: Project, export: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the adapter had not been added: its files are there to be looked at, under another name."""

    def lost(rows: Any, _path: str, _adapter: Any) -> Any:
        return rows

    monkeypatch.setattr("engine.export.gguf_tensors.merged_rows", lost)
    folder = trained.exports_dir / "tiny-gguf-16-rejected"
    made = []
    for _time in range(2):  # the second takes the place of the first
        assert export("--to", "gguf", "--bits", "16") == 1
        said = " ".join(capsys.readouterr().err.split())
        assert "gguf-16 loses what was trained: loss " in said and "without --bits" in said
        assert [path.name for path in trained.exports_dir.iterdir()] == ["tiny-gguf-16-rejected"]
        assert {"model.gguf", "receipt.json"} == files_below(folder).keys()
        made.append(folder.stat().st_ino)
    assert made[0] != made[1]
    (folder / "notes.txt").write_text("what I saw")
    assert export("--to", "gguf", "--bits", "16") == 1
    assert "exists already" in capsys.readouterr().err and (folder / "notes.txt").exists()


@pytest.mark.slow
def test_a_comparison_leaves_nothing(
    trained: Project, export: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every form with what it keeps, and the smallest good one."""
    before = everything(trained.root)
    assert export("--compare", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["form"] for row in told["forms"]] == [request.label for request in compared()]
    assert told["refused"] == {} and told["best"] in {row["form"] for row in told["forms"]}
    assert everything(trained.root) == before
    assert export("--compare") == 0
    printed = capsys.readouterr().out
    assert f"★ {told['best']} is the smallest" in printed and "gain kept" in printed


def test_ollama_is_given_a_name_that_it_takes(
    trained: Project, export: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """Letters, digits and dashes, whatever the folder is called; its path is quoted for a shell."""
    out = trained.root / "Meu modelo (novo)"
    assert export("--to", "ollama", "--out", str(out), "--json") == 0
    command = json.loads(capsys.readouterr().out)["command"]
    modelfile = f"'{out}/Modelfile'"
    assert command == f"ollama create meu-modelo-novo -f {modelfile} && ollama run meu-modelo-novo"


@pytest.mark.parametrize(
    ("losses", "kept", "is_lost"),
    [
        ((3.0, 1.0, 1.1), 0.95, False),
        ((3.0, 1.0, 2.2), 0.4, True),
        ((3.0, 1.0, 3.5), -0.25, True),
        ((3.0, 2.99997, 3.01), None, False),
        ((3.0, 3.4, 3.5), None, False),
        ((3.0, 2.99997, 9.0), None, True),
    ],
)
def test_what_is_kept_of_a_gain(
    losses: tuple[float, float, float], kept: float | None, is_lost: bool
) -> None:
    """Of an adapter that gains next to nothing on these rows no share is told, and only ruins are refused."""
    base, adapter, exported = (np.full(4, -loss) for loss in losses)
    gain = kept_gain("form", 1, base, adapter, exported, "MLX")
    assert (gain.kept is None) == (kept is None) and gain.is_lost == is_lost
    assert kept is None or gain.kept == pytest.approx(kept)
