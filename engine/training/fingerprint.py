"""Fingerprints that tell whether data and base model are still those of a run."""

import hashlib
from pathlib import Path

from engine.files import open_given, open_own, read_given
from engine.project import Project

# Enough of a weights file to tell two models apart without reading gigabytes.
_SAMPLE = 1 << 20
_SAMPLES = 16
# What else decides how a text becomes tokens: chat templates and vocabularies.
_PATTERNS = ("*.json", "*.safetensors", "*.jinja", "*.model", "*.txt")
_NOT_TOKENS = ("config.json", "model.safetensors.index.json", "generation_config.json")


def data_fingerprint(project: Project) -> str:
    """Return the SHA-256 over the bytes of both data files."""
    digest = hashlib.sha256()
    for path in (project.train_file, project.valid_file):
        digest.update(hashlib.sha256(read_given(path, most=None)).digest())
    return digest.hexdigest()


def model_fingerprint(folder: Path) -> str:
    """Return a SHA-256 over a model folder: configuration and tokenizer whole, weights in samples.

    Of each weights file its size and 16 evenly spaced pieces of 1 MiB count,
    the first of which holds its header.
    """
    digest = hashlib.sha256()
    for path in sorted(path for pattern in _PATTERNS for path in folder.glob(pattern)):
        digest.update(f"{path.name}:{path.stat().st_size}:".encode())
        digest.update(_sampled(path) if path.suffix == ".safetensors" else read_given(path, most=None))
    return digest.hexdigest()


def template_fingerprint(folder: Path) -> str:
    """Return a SHA-256 over what turns a row into tokens: chat template, vocabulary, special tokens."""
    digest = hashlib.sha256()
    for path in sorted(path for pattern in _PATTERNS for path in folder.glob(pattern)):
        if path.suffix != ".safetensors" and path.name not in _NOT_TOKENS:
            digest.update(f"{path.name}:{path.stat().st_size}:".encode() + read_given(path, most=None))
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with open_own(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sampled(path: Path) -> bytes:
    digest = hashlib.sha256()
    size = path.stat().st_size
    stride = max(_SAMPLE, size // _SAMPLES)
    with open_given(path) as file:
        for offset in range(0, size, stride):
            file.seek(offset)
            digest.update(file.read(_SAMPLE))
    return digest.digest()
