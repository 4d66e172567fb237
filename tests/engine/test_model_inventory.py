"""Which models are on a machine, in whose folders, and what can be done with each."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.hardware.report import HardwareReport
from engine.model_store import inventory
from engine.model_store.caches import Cached, exo_folders, find_cached, hub_cache, repository_of
from engine.model_store.inventory import find_all
from engine.model_store.look import advised_profile, look, look_into_gguf
from engine.model_store.shortlist import SHORTLIST
from engine.project import Project
from tests.support.gguf_files import write_gguf
from tests.support.tiny import write_model

import pytest
from gguf import GGMLQuantizationType as Kind

GB = 10**9
COMMIT = "0123456789abcdef0123456789abcdef01234567"
MACHINE = HardwareReport((), 64 * GB, 48 * GB, 100 * GB, "metal", "a Mac", 48 * GB)


def cached_model(hub: Path, name: str = "team--tiny") -> Path:
    """A model in Hugging Face's cache; its snapshot."""
    snapshot = hub / f"models--{name}" / "snapshots" / COMMIT
    write_model(snapshot)
    (hub / f"models--{name}" / "refs").mkdir()
    (hub / f"models--{name}" / "refs" / "main").write_text(COMMIT)
    return snapshot


def ollama_model(
    root: Path, blob: bytes = b"GGUF", media: str = "application/vnd.ollama.image.model"
) -> Path:
    """A model of Ollama, `llama3.2:1b`; its blob."""
    digest = "ab" * 32
    manifest = root / "manifests" / "registry.ollama.ai" / "library" / "llama3.2" / "1b"
    manifest.parent.mkdir(parents=True)
    layers = [{"mediaType": "application/vnd.ollama.image.license", "digest": "sha256:00"}]
    layers.append({"mediaType": media, "digest": f"sha256:{digest}"})
    manifest.write_text(json.dumps({"layers": layers}))
    (root / "blobs").mkdir()
    (root / "blobs" / f"sha256-{digest}").write_bytes(blob)
    return root / "blobs" / f"sha256-{digest}"


def test_models_of_every_program_are_found(tmp_path: Path) -> None:
    """Each in its usual place."""
    home = tmp_path
    snapshot = cached_model(home / ".cache" / "huggingface" / "hub")
    (snapshot / "tiny.Q8_0.gguf").write_bytes(b"GGUF")
    studio = write_model(home / ".lmstudio" / "models" / "team" / "tiny-mlx")
    older = home / ".cache" / "lm-studio" / "models" / "team" / "tiny-gguf"
    older.mkdir(parents=True)
    (older / "tiny.gguf").write_bytes(b"GGUF")
    exo = write_model(exo_folders({}, home)[0] / "team--tiny-exo")
    blob = ollama_model(home / ".ollama" / "models")
    assert list(find_cached({}, home)) == [
        Cached("huggingface", snapshot, "team/tiny"),
        Cached("huggingface", snapshot / "tiny.Q8_0.gguf", "team/tiny/tiny.Q8_0.gguf"),
        Cached("lm_studio", studio, "team/tiny-mlx"),
        Cached("lm_studio", older / "tiny.gguf", "team/tiny-gguf/tiny.gguf"),
        Cached("exo", exo, "team/tiny-exo"),
        Cached("ollama", blob, "llama3.2:1b"),
    ]
    assert repository_of(snapshot, {}, home) == ("team/tiny", COMMIT)
    assert repository_of(studio, {}, home) == ("team/tiny-mlx", "")
    assert repository_of(exo, {}, home) == ("team/tiny-exo", "")
    assert repository_of(tmp_path / "team" / "tiny", {}, home) == ("", "")


@pytest.mark.parametrize(
    ("environment", "place"),
    [
        ({}, "home/.cache/huggingface/hub"),
        ({"XDG_CACHE_HOME": "{root}/xdg"}, "xdg/huggingface/hub"),
        ({"HF_HOME": "{root}/own"}, "own/hub"),
        ({"HF_HOME": "{root}/own", "HF_HUB_CACHE": "{root}/cache"}, "cache"),
    ],
)
def test_the_cache_is_where_its_library_has_it(
    tmp_path: Path, environment: dict[str, str], place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As huggingface_hub itself works it out, in a process with that environment."""
    import subprocess
    import sys

    told = {name: value.format(root=tmp_path) for name, value in environment.items()}
    for name in ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    whole = {**os.environ, "HOME": str(tmp_path / "home"), **told}
    code = "import huggingface_hub.constants as c; print(c.HF_HUB_CACHE)"
    theirs = subprocess.check_output([sys.executable, "-c", code], env=whole, text=True).strip()
    assert hub_cache(told, tmp_path / "home") == tmp_path / place == Path(theirs)


def test_folders_that_are_named_are_looked_into(tmp_path: Path) -> None:
    """exo and Ollama are told in the environment where their models are."""
    first, second = tmp_path / "a", tmp_path / "b"
    environment = {"EXO_MODELS_DIRS": f"{first}:{second}", "OLLAMA_MODELS": str(tmp_path / "o")}
    write_model(second / "team--tiny")
    blob = ollama_model(tmp_path / "o")
    found = list(find_cached(environment, tmp_path / "home"))
    assert [(one.owner, one.path) for one in found] == [("exo", second / "team--tiny"), ("ollama", blob)]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"layers": 3}', '{"layers": [{}]}', '{"layers": [{"digest": 1}]}']
)
def test_a_broken_list_of_ollama_is_passed_over(tmp_path: Path, text: str) -> None:
    """And one that leads elsewhere."""
    manifest = ollama_model(tmp_path / "o").parents[1] / "manifests/registry.ollama.ai/library/llama3.2/1b"
    manifest.write_text(text)
    assert list(find_cached({"OLLAMA_MODELS": str(tmp_path / "o")}, tmp_path)) == []
    layer = {"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:../../../x"}
    manifest.write_text(json.dumps({"layers": [layer]}))
    assert list(find_cached({"OLLAMA_MODELS": str(tmp_path / "o")}, tmp_path)) == []


def test_a_model_is_described(tmp_path: Path) -> None:
    """With what it takes to bring it in, where it is not here."""
    folder = write_model(tmp_path / "tiny model")
    own, other = look("project", "tiny", folder, MACHINE), look("lm_studio", "team/tiny", folder, MACHINE)
    assert (own.architecture, own.form, own.obstacle, own.command) == ("llama", "4-bit", "", "")
    assert own.size == (folder / "model.safetensors").stat().st_size
    assert own.profile == "PERFORMANCE"
    assert other.command == f"mqlora-tui get '{folder}' --link"
    assert look("project", "full", write_model(tmp_path / "full", quantize=False), MACHINE).form == "32-bit"


def changed(**values: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text()) | values
        (folder / "config.json").write_text(json.dumps(config))

    return change


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (changed(model_type="unheard_of"), "architecture"),
        (changed(model_file="evil.py"), "code"),
        (lambda folder: (folder / "config.json").write_text("{"), "incomplete"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer"),
        (lambda folder: (folder / "model.safetensors").unlink(), "incomplete"),
        (lambda folder: os.truncate(folder / "model.safetensors", 5000), "incomplete"),
    ],
    ids=["architecture", "code", "config", "tokenizer", "no weights", "cut weights"],
)
def test_why_a_model_cannot_be_trained(tmp_path: Path, change: Callable[[Path], Any], word: str) -> None:
    """In a word, with the sentence of whoever refuses it; it is not brought in."""
    folder = write_model(tmp_path / "tiny")
    change(folder)
    found = look("huggingface", "team/tiny", folder, MACHINE)
    assert (found.obstacle, found.command, found.profile) == (word, "", None)
    assert str(folder) in found.problem and found.fix


@pytest.mark.parametrize(
    ("kind", "obstacle"),
    [(Kind.Q4_0, ""), (Kind.Q4_1, ""), (Kind.Q8_0, ""), (Kind.F16, ""), (Kind.Q5_0, "Q5_0")],
)
def test_a_gguf_file_is_described(tmp_path: Path, kind: Kind, obstacle: str) -> None:
    """Those whose weights can be kept as they are can be brought in."""
    file = tmp_path / "x.gguf"
    write_gguf(file, kind)
    found = look_into_gguf("ollama", "llama3.2:1b", file, MACHINE)
    assert (found.architecture, found.form, found.obstacle) == ("llama", kind.name, obstacle)
    assert found.command == ("" if obstacle else f"mqlora-tui get {file} --name llama3.2-1b")
    assert found.profile == (None if obstacle else "PERFORMANCE")


def test_a_gguf_file_that_is_none(tmp_path: Path) -> None:
    """Cut short, or of another architecture."""
    (tmp_path / "x.gguf").write_bytes(b"GGUF")
    assert look_into_gguf("lm_studio", "x", tmp_path / "x.gguf", MACHINE).obstacle == "damaged"
    write_gguf(tmp_path / "y.gguf", architecture="qwen3")
    assert look_into_gguf("lm_studio", "y", tmp_path / "y.gguf", MACHINE).obstacle == "architecture"


def test_all_of_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in `models/` first, also GGUF files, of which nothing can be trained as they are."""
    project = Project(tmp_path)
    write_model(project.models_dir / "tiny")
    write_gguf(project.models_dir / "small.gguf")
    monkeypatch.setattr(inventory, "find_cached", lambda: iter([Cached("exo", tmp_path / "gone", "a/b")]))
    (project.models_dir / "linked").mkdir()
    (project.models_dir / "linked" / "config.json").symlink_to(tmp_path / "taken away" / "config.json")
    own, linked, file, gone = find_all(project, MACHINE)
    assert (own.name, own.obstacle) == ("tiny", "")
    assert (linked.name, linked.obstacle) == ("linked", "incomplete") and "config.json" in linked.problem
    assert file.command == f"mqlora-tui get {project.models_dir / 'small.gguf'}"
    assert (gone.name, gone.obstacle) == ("a/b", "damaged")


@pytest.mark.parametrize(
    ("memory", "profiles"),
    [
        (4 * GB, [None, None, None, None, "SAFE", "SAFE"]),
        (64 * GB, ["PERFORMANCE"] * 6),
    ],
)
def test_what_fits_of_those_offered(memory: int, profiles: list[str | None]) -> None:
    """Larger models and larger profiles want more memory."""
    machine = replace(MACHINE, memory_available=memory, gpu_memory=memory)
    found = [advised_profile(machine, offer.dimensions) for offer in SHORTLIST]
    assert len(found) == len(profiles)
    ranks = [(None, "SAFE", "BALANCED", "PERFORMANCE").index(name) for name in found]
    assert ranks == sorted(ranks) and found[-1] == profiles[-1] and found[0] == profiles[0]


def test_the_sizes_of_those_offered() -> None:
    """As the hub lists the bytes of their weights, to a twentieth."""
    listed = {"Mistral-7B-Instruct-v0.3-4bit": 4.08e9, "Qwen2.5-0.5B-Instruct-4bit": 278e6}
    for offer in SHORTLIST:
        if offer.name in listed:
            assert abs(offer.size / listed[offer.name] - 1) < 0.05
