"""Fingerprints of data and models: over every byte, without holding a file, and not twice for nothing."""

import hashlib
import tracemalloc
from io import BufferedReader
from pathlib import Path

from engine import fingerprint
from engine.files import open_given
from engine.fingerprint import data_fingerprint, model_fingerprint, template_fingerprint
from engine.project import Project
from tests.support.tiny import write_model

import pytest


def test_the_data_is_hashed_whole_and_in_pieces(tmp_path: Path) -> None:
    """The same as over the bytes at once; a file of 64 MB takes no memory to speak of."""
    project = Project(tmp_path)
    project.data_dir.mkdir()
    train, valid = bytes(range(256)) * (1 << 18), b"row\n"
    project.train_file.write_bytes(train)
    project.valid_file.write_bytes(valid)
    both = hashlib.sha256(train).digest() + hashlib.sha256(valid).digest()
    tracemalloc.start()
    try:
        assert data_fingerprint(project) == hashlib.sha256(both).hexdigest()
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_a_file_that_did_not_change_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Size, time and number tell; each change of a file is seen."""
    project, opened = Project(tmp_path), list[str]()
    project.data_dir.mkdir()
    project.train_file.write_text("a\n")
    project.valid_file.write_text("b\n")

    def opening(path: Path) -> BufferedReader:
        opened.append(path.name)
        return open_given(path)

    monkeypatch.setattr(fingerprint, "open_given", opening)
    first = data_fingerprint(project)
    assert data_fingerprint(project) == first and len(opened) == 2
    replaced = project.root / "other"
    replaced.write_text("c\n")
    replaced.rename(project.valid_file)
    assert data_fingerprint(project) != first and len(opened) == 4


@pytest.mark.parametrize(
    ("name", "is_template"),
    [
        ("tokenizer.json", True),
        ("config.json", False),
        ("model.safetensors", False),
        ("notes.md", None),
        ("source.json", None),
    ],
)
def test_every_file_that_counts_counts(tmp_path: Path, name: str, is_template: bool | None) -> None:
    """Of the model, and of what makes tokens of a text; other files may change."""
    folder = write_model(tmp_path / "tiny")
    before = model_fingerprint(folder), template_fingerprint(folder)
    path = folder / name
    path.write_bytes((path.read_bytes() if path.exists() else b"") + b" ")
    after = model_fingerprint(folder), template_fingerprint(folder)
    assert (after[0] != before[0]) == (is_template is not None)
    assert (after[1] != before[1]) == bool(is_template)
