"""A model out of a folder or a GGUF file comes into `models/`; a full one is quantised."""

import json
import os
from pathlib import Path
from threading import Event

from engine.backend import mx
from engine.errors import Cancelled, UserError
from engine.model_folder.source import ModelSource, read_source, write_source
from engine.model_folder.usable import require_usable
from engine.model_store.convert import convert_model
from engine.model_store.get import Brought, get_model
from engine.project import Project
from tests.support.gguf_files import write_gguf
from tests.support.hub_stand_in import files_of
from tests.support.tiny import write_model

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write_model(tmp_path / "elsewhere" / "tiny")


def get(
    project: Project, path: Path, name: str = "", link: bool = False, stop: Event | None = None
) -> Brought:
    return get_model(project, path, name, link, lambda *_told: None, stop or Event())


def test_a_folder_is_copied(project: Project, tiny: Path) -> None:
    """Data only; what it came from is written down."""
    before = files_of(tiny)
    (tiny / "modeling.py").write_text("import os")
    (tiny / "pytorch_model.bin").write_bytes(b"x")
    (tiny / ".cache").mkdir()
    brought = get(project, tiny)
    there = files_of(brought.folder)
    del there["source.json"]
    assert there == before and brought.left_out == ("modeling.py", "pytorch_model.bin")
    source = read_source(brought.folder)
    assert source is not None and (source.way, source.origin) == ("folder", str(tiny))
    assert project.models() == {"tiny": brought.folder}
    with pytest.raises(UserError, match="exists already"):
        get(project, tiny)


def test_a_folder_is_linked(project: Project, tiny: Path) -> None:
    """No byte is copied, nothing is written into the folder that is linked."""
    before = files_of(tiny)
    brought = get(project, tiny, link=True)
    for name in before:
        assert os.readlink(brought.folder / name) == str(tiny / name)
    assert files_of(tiny) == before
    assert not brought.folder.is_symlink() and project.models() == {"tiny": brought.folder}
    require_usable(brought.folder)
    source = read_source(brought.folder)
    assert source is not None and source.way == "link"


@pytest.mark.parametrize("as_cached", [True, False], ids=["snapshot", "its folder in the cache"])
def test_a_model_of_the_cache_keeps_its_name_and_commit(
    project: Project, tmp_path: Path, as_cached: bool
) -> None:
    """Of Hugging Face's cache, in which files are links already."""
    cached = tmp_path / "hub" / "models--team--tiny-4bit"
    folder = write_model(cached / "blobs" / "x")
    snapshot = cached / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    for path in folder.iterdir():
        (snapshot / path.name).symlink_to(f"../../blobs/x/{path.name}")
    brought = get(project, snapshot if as_cached else cached, link=True)
    source = brought.source
    assert (brought.name, source.repository, source.revision) == ("tiny-4bit", "team/tiny-4bit", COMMIT)
    require_usable(brought.folder)


def test_what_is_known_of_a_model_goes_with_it(project: Project, tiny: Path) -> None:
    """From one project to another."""
    write_source(tiny, ModelSource(way="hub", repository="team/tiny", revision=COMMIT))
    brought = get(project, tiny)
    assert (brought.source.repository, brought.source.revision) == ("team/tiny", COMMIT)
    assert brought.left_out == ()


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"way": "stolen"}', '{"way":"hub","repository":"../x"}', "[" * 100_000]
)
def test_a_source_that_says_nothing_is_none(tmp_path: Path, text: str) -> None:
    """Whoever wrote it."""
    (tmp_path / "source.json").write_text(text)
    assert read_source(tmp_path) is None


def test_cancelling_a_copy_leaves_nothing(project: Project, tiny: Path) -> None:
    """Not even a hidden folder."""
    stop = Event()
    stop.set()
    with pytest.raises(Cancelled):
        get(project, tiny, stop=stop)
    assert list(project.models_dir.iterdir()) == []


def test_a_folder_that_is_no_model_is_refused(project: Project, tmp_path: Path) -> None:
    """With what is in it, if that helps."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no language model"):
        get(project, tmp_path / "empty")
    (tmp_path / "empty" / "x.Q8_0.gguf").write_bytes(b"GGUF")
    with pytest.raises(UserError, match=r"GGUF files such as x\.Q8_0\.gguf"):
        get(project, tmp_path / "empty")
    assert not project.models_dir.exists()


def test_pipes_and_links_in_a_circle_are_no_models(project: Project, tmp_path: Path) -> None:
    """Nothing is waited for."""
    os.mkfifo(tmp_path / "pipe.gguf")
    (tmp_path / "circle").symlink_to("circle")
    for name in ("pipe.gguf", "circle"):
        with pytest.raises(UserError, match="no folder and no GGUF file"):
            get(project, tmp_path / name)


@pytest.mark.parametrize("kind", [Kind.Q4_0, Kind.Q4_1, Kind.Q8_0, Kind.F16])
def test_a_gguf_file_keeps_its_weights(project: Project, tmp_path: Path, kind: Kind) -> None:
    """As the `gguf` library reads them from it, bit for bit."""
    expected = write_gguf(tmp_path / "small.gguf", kind)
    brought = get(project, tmp_path / "small.gguf")
    assert brought.name == "small" and brought.source.way == "gguf"
    stem = "model.layers.0.mlp.up_proj"
    new = mx.load(str(brought.folder / "model.safetensors"))
    weight = new[f"{stem}.weight"]
    if kind != Kind.F16:
        parts = [new[f"{stem}.{part}"].astype(mx.float32) for part in ("scales", "biases")]
        weight = mx.dequantize(weight, *parts, group_size=32, bits={Kind.Q8_0: 8}.get(kind, 4))
    np.testing.assert_array_equal(np.array(weight.astype(mx.float32)), expected[f"{stem}.weight"])


def test_a_blob_wants_a_name(project: Project, tmp_path: Path) -> None:
    """Ollama names its files by their checksums."""
    blob = tmp_path / f"sha256-{'ab' * 32}"
    write_gguf(blob)
    with pytest.raises(UserError, match="says nothing of the model") as refused:
        get(project, blob)
    assert "--name" in refused.value.fix
    assert get(project, blob, "llama-1b").folder == project.models_dir / "llama-1b"
    with pytest.raises(UserError, match="cannot be linked"):
        get(project, blob, "other", link=True)


@pytest.mark.parametrize("name", ["../x", ".hidden", "a/b", "-x", "x\x1b[2J", "a" * 300])
def test_a_name_is_one_of_a_folder_in_models(project: Project, tiny: Path, name: str) -> None:
    """Nothing is written elsewhere."""
    with pytest.raises(UserError, match="cannot be the name of a folder"):
        get(project, tiny, name)
    assert not project.models_dir.exists()


@pytest.mark.parametrize(("bits", "group_size"), [(4, 32), (8, 32)])
def test_a_full_model_is_quantised(project: Project, tmp_path: Path, bits: int, group_size: int) -> None:
    """As NumPy rounds to the levels of a group; the given one stays as it is."""
    full = write_model(tmp_path / "full", quantize=False)
    (full / "evil.py").write_text("raise SystemExit(7)")
    before = files_of(full)
    brought = convert_model(project, full, bits, group_size, "")
    assert brought.name == f"full-{bits}bit" and files_of(full) == before
    files = require_usable(brought.folder)
    assert files.bits == bits and not list(brought.folder.glob("*.py"))
    assert (brought.source.way, brought.source.bits) == ("converted", bits)
    stem = "model.layers.0.mlp.up_proj"
    new = mx.load(str(brought.folder / "model.safetensors"))
    packed = [new[f"{stem}.{part}"] for part in ("weight", "scales", "biases")]
    got = np.array(mx.dequantize(*packed, group_size=group_size, bits=bits).astype(mx.float32))
    given = np.array(mx.load(str(full / "model.safetensors"))[f"{stem}.weight"].astype(mx.float32))
    groups = given.reshape(-1, group_size)
    step = (groups.max(1) - groups.min(1)) / (2**bits - 1)
    assert (np.abs(got.reshape(-1, group_size) - groups) <= step[:, None] * 1.01 + 1e-3).all()


def test_what_cannot_be_quantised_is_refused(project: Project, tiny: Path, tmp_path: Path) -> None:
    """Before anything is written."""
    with pytest.raises(UserError, match="quantised already"):
        convert_model(project, tiny, 4, 64, "")
    full = write_model(tmp_path / "full", quantize=False)
    with pytest.raises(UserError, match="Groups of 64 do not divide the model's width of 32") as refused:
        convert_model(project, full, 4, 64, "")
    assert "--group-size 32" in refused.value.fix
    with pytest.raises(UserError, match="to 3 bits"):
        convert_model(project, full, 3, 64, "")
    config = json.loads((full / "config.json").read_text())
    (full / "config.json").write_text(json.dumps(config | {"model_file": "evil.py"}))
    with pytest.raises(UserError, match="wants to run code"):
        convert_model(project, full, 4, 32, "")
    assert not project.models_dir.exists()
