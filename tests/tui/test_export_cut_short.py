"""An export that is killed, or whose disk takes no more: nothing of it is taken for an export."""

import resource
import signal
import subprocess
import sys
from pathlib import Path

from engine.project import Project
from tests.support.export_models import KINDS, exporter_of
from tests.support.tiny import RUN

import pytest

# Killed while the second part of a file is written, which is when most of the time goes by.
KILLED = """
import os, signal, sys
import engine.export.llama_cpp as llama_cpp
from tui.cli.main import main

llama_cpp.is_installed = lambda: False
module, name, root, *arguments = sys.argv[1:]
owner = __import__(module, fromlist=["_"])
real, calls = getattr(owner, name), []

def killing(*given, **named):
    calls.append(1)
    if len(calls) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*given, **named)

setattr(owner, name, killing)
sys.argv = ["mqlora-tui", "-C", root, "export", *arguments]
sys.exit(main())
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A model with a random adapter and nothing to score it with."""
    exporter = exporter_of(tmp_path / "project", KINDS["llama-4bit-untied"])
    exporter.project.valid_file.unlink()
    RUN.save(exporter.project.config_file)
    return exporter.project


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "name", "arguments"),
    [
        ("engine.export.gguf_tensors", "to_q4_1", ["--to", "gguf"]),
        ("engine.export.gguf_tensors", "merged_rows", ["--to", "ollama", "--bits", "8"]),
        ("engine.model_folder.new_folder", "sync", ["--to", "mlx"]),
    ],
    ids=["gguf", "ollama", "mlx"],
)
def test_killed_halfway_it_leaves_a_hidden_folder_that_the_next_start_removes(
    project: Project, module: str, name: str, arguments: list[str]
) -> None:
    """SIGKILL while a file is written, and when all are but the folder has no name yet."""
    before = names(project.root)
    command = [sys.executable, "-c", KILLED, module, name, str(project.root), *arguments]
    assert subprocess.run(command).returncode == -signal.SIGKILL
    (left,) = names(project.exports_dir)
    assert left.startswith(".partial-")
    assert names(project.root) == sorted([*before, "exports"])
    start = [sys.executable, "-m", "tui", "-C", str(project.root), "models"]
    assert subprocess.run(start, stdout=subprocess.DEVNULL).returncode == 0
    assert names(project.exports_dir) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments", [["gguf"], ["llama.cpp", "--bits", "8"], ["mlx"], ["peft", "--base-name", "a/b"]], ids=str
)
def test_a_file_that_cannot_grow_is_told_in_one_sentence(project: Project, arguments: list[str]) -> None:
    """A limit on files stands for a full disk: nothing is left, and the fix is that of the limit."""
    before = names(project.root)
    command = [sys.executable, "-m", "tui", "-C", str(project.root), "export", "--to", *arguments]
    most = 20_000

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=limited)
    assert done.returncode == 1 and done.stdout == ""
    said = " ".join(done.stderr.split())
    assert "Cannot write" in said and "ulimit -f unlimited" in said and "Traceback" not in said, said
    assert names(project.root) == before
