"""Where other programs keep models on this machine, and what these are called on the hub."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engine.files import read_given
from engine.find_models import snapshot
from engine.model_folder.source import COMMIT, is_repository

Owner = Literal["huggingface", "lm_studio", "exo", "ollama"]
"""The program whose folder it is."""
_CACHED = "models--"
_MODEL_LAYER = "application/vnd.ollama.image.model"
"""What Ollama calls the part of a model that is a GGUF file."""
_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class Cached:
    """A model that another program has."""

    owner: Owner
    path: Path
    """A folder, or a GGUF file."""
    name: str
    """How the other program calls it."""


def find_cached(environment: Mapping[str, str] = os.environ, home: Path | None = None) -> Iterator[Cached]:
    """Yield the models that other programs keep on this machine.

    Args:
        environment: in which some are told where that is.
        home: the user's folder; None takes this user's.
    """
    home = home or Path.home()
    for owner, find in (
        ("huggingface", _in_hub_cache(hub_cache(environment, home))),
        ("lm_studio", _in_lm_studio(lm_studio_folders(home))),
        ("exo", _in_exo(exo_folders(environment, home))),
        ("ollama", _in_ollama(_ollama_folder(environment, home))),
    ):
        with suppress(OSError):  # a folder that this user may not read
            yield from (Cached(owner, path, name) for path, name in find)  # type: ignore[arg-type]


def repository_of(
    path: Path, environment: Mapping[str, str] = os.environ, home: Path | None = None
) -> tuple[str, str]:
    """Return how a model's folder is called on the hub, and its commit; empty where that is not known."""
    home = home or Path.home()
    path = path.absolute()
    if path.parent.name == "snapshots" and (name := _named(path.parents[1].name.removeprefix(_CACHED))):
        return name, path.name if COMMIT.fullmatch(path.name) else ""
    if path.parents[1] in lm_studio_folders(home) and is_repository("/".join(path.parts[-2:])):
        return "/".join(path.parts[-2:]), ""
    if path.parent in exo_folders(environment, home):
        return _named(path.name), ""
    return "", ""


def _named(text: str) -> str:
    """Return ORGANISATION/NAME for ORGANISATION--NAME; empty for anything else."""
    name = text.replace("--", "/", 1)
    return name if is_repository(name) else ""


def hub_cache(environment: Mapping[str, str], home: Path) -> Path:
    """Return the folder of Hugging Face's cache, as its library finds it."""
    if named := environment.get("HF_HUB_CACHE") or environment.get("HUGGINGFACE_HUB_CACHE"):
        return _expanded(named)
    cache = _expanded(environment["XDG_CACHE_HOME"]) if environment.get("XDG_CACHE_HOME") else home / ".cache"
    own = environment.get("HF_HOME")
    return (_expanded(own) if own else cache / "huggingface") / "hub"


def lm_studio_folders(home: Path) -> list[Path]:
    """Return where LM Studio keeps models, today's place first."""
    return [home / ".lmstudio" / "models", home / ".cache" / "lm-studio" / "models"]


def exo_folders(environment: Mapping[str, str], home: Path) -> list[Path]:
    """Return where exo keeps models."""
    data = environment.get("XDG_DATA_HOME")
    own = _expanded(data) / "exo" if data else home / ".local" / "share" / "exo"
    usual = home / ".exo" if sys.platform == "darwin" else own
    named = [_expanded(environment.get("EXO_DEFAULT_MODELS_DIR") or str(usual / "models"))]
    for name in ("EXO_MODELS_DIRS", "EXO_MODELS_READ_ONLY_DIRS"):
        named += [_expanded(part) for part in environment.get(name, "").split(os.pathsep) if part]
    return list(dict.fromkeys(named))


def _ollama_folder(environment: Mapping[str, str], home: Path) -> Path:
    named = environment.get("OLLAMA_MODELS")
    return _expanded(named) if named else home / ".ollama" / "models"


def _expanded(text: str) -> Path:
    return Path(os.path.expandvars(os.path.expanduser(text)))


def _in_hub_cache(root: Path) -> Iterator[tuple[Path, str]]:
    for folder in sorted(root.glob(f"{_CACHED}*")):
        name = _named(folder.name.removeprefix(_CACHED))
        if found := snapshot(folder):
            yield found, name
        for file in sorted(folder.glob("snapshots/*/*.gguf")):
            yield file, f"{name}/{file.name}"


def _in_lm_studio(roots: list[Path]) -> Iterator[tuple[Path, str]]:
    for root in roots:
        for config in sorted(root.glob("*/*/config.json")):
            yield config.parent, config.parent.relative_to(root).as_posix()
        for file in sorted(root.glob("*/*/*.gguf")):
            yield file, file.relative_to(root).as_posix()


def _in_exo(roots: list[Path]) -> Iterator[tuple[Path, str]]:
    for root in roots:
        for config in sorted(root.glob("*/config.json")):
            yield config.parent, _named(config.parent.name) or config.parent.name


def _in_ollama(root: Path) -> Iterator[tuple[Path, str]]:
    """Find Ollama's GGUF files, which are named by their checksums, through its lists of models."""
    for manifest in sorted(root.glob("manifests/*/*/*/*")):
        with suppress(OSError, ValueError, LookupError, TypeError, AttributeError):
            layers: list[dict[str, Any]] = json.loads(read_given(manifest, _MOST_BYTES))["layers"]
            for layer in layers:
                kind, _colon, number = str(layer["digest"]).partition(":")
                if layer["mediaType"] == _MODEL_LAYER and kind == "sha256" and number.isalnum():
                    yield root / "blobs" / f"sha256-{number}", f"{manifest.parent.name}:{manifest.name}"
