"""Fingerprints that tell whether data and base model are still those of a run."""

import hashlib
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path

from engine.files import open_given, open_own
from engine.find_models import SOURCE_NAME
from engine.project import Project

# Enough of a weights file to tell two models apart without reading gigabytes.
_SAMPLE = 1 << 20
_SAMPLES = 16
# What else decides how a text becomes tokens: chat templates and vocabularies.
_PATTERNS = ("*.json", "*.safetensors", "*.jinja", "*.model", "*.txt")
_NOT_TOKENS = ("config.json", "model.safetensors.index.json", "generation_config.json")


def data_fingerprint(project: Project) -> str:
    """Return the SHA-256 over the bytes of both data files.

    Raises:
        OSError: one cannot be read.
    """
    return _data(project.train_file, project.valid_file, _stamps((project.train_file, project.valid_file)))


def model_fingerprint(folder: Path) -> str:
    """Return a SHA-256 over a model folder: configuration and tokenizer whole, weights in samples.

    Of each weights file its size and 16 evenly spaced pieces of 1 MiB count,
    the first of which holds its header.

    Raises:
        OSError: a file cannot be read.
    """
    paths = _files(folder)
    return _named(paths, _stamps(paths))


def template_fingerprint(folder: Path) -> str:
    """Return a SHA-256 over what turns a row into tokens: chat template, vocabulary, special tokens.

    Raises:
        OSError: a file cannot be read.
    """
    paths = tuple(
        path for path in _files(folder) if path.suffix != ".safetensors" and path.name not in _NOT_TOKENS
    )
    return _named(paths, _stamps(paths))


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes.

    Raises:
        OSError: it cannot be read.
    """
    with open_own(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def given_sha256(path: Path) -> str:
    """Return the SHA-256 of a file that people put there, or of what a link leads to.

    Raises:
        OSError: it cannot be read.
    """
    with open_given(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _files(folder: Path) -> tuple[Path, ...]:
    found = (path for pattern in _PATTERNS for path in folder.glob(pattern))
    return tuple(sorted(path for path in found if path.name != SOURCE_NAME))


Stamp = tuple[int, int, int, int]
"""Device, number, size and time of change of a file: another content has another one."""


def _stamps(paths: Iterable[Path]) -> tuple[Stamp, ...]:
    found = (path.stat() for path in paths)
    return tuple((stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns) for stat in found)


@lru_cache(maxsize=8)
def _data(train: Path, valid: Path, _stamps: tuple[Stamp, ...]) -> str:
    digest = hashlib.sha256()
    for path in (train, valid):
        with open_given(path) as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


@lru_cache(maxsize=8)
def _named(paths: tuple[Path, ...], _stamps: tuple[Stamp, ...]) -> str:
    """Return the digest over names, sizes and content of files; `_stamps` tell when it is out of date."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.name}:{path.stat().st_size}:".encode())
        for piece in _sampled(path) if path.suffix == ".safetensors" else _pieces(path):
            digest.update(piece)
    return digest.hexdigest()


def _pieces(path: Path) -> Iterator[bytes]:
    with open_given(path) as file:
        while piece := file.read(_SAMPLE):
            yield piece


def _sampled(path: Path) -> Iterator[bytes]:
    """Yield the digest of pieces of a weights file."""
    digest = hashlib.sha256()
    size = path.stat().st_size
    stride = max(_SAMPLE, size // _SAMPLES)
    with open_given(path) as file:
        for offset in range(0, size, stride):
            file.seek(offset)
            digest.update(file.read(_SAMPLE))
    yield digest.digest()


@cache
def installed_versions() -> dict[str, str]:
    """Return the versions of what computes a run."""
    return {name: version(name) for name in ("mqlora-tui", "mlx", "mlx-lm")}
