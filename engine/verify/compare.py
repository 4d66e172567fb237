"""Two finished runs compared byte by byte, times aside."""

import csv
import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.i18n import _, ngettext
from engine.project import Project
from engine.training.checkpoint_folders import checkpoint_folders, checkpoint_step

TIMES = frozenset({"elapsed_s", "time", "tokens_per_second", "peak_memory_gb"})
"""Columns that depend on the clock and the machine."""
JsonObject = dict[str, Any]


@dataclass(frozen=True)
class Comparison:
    """One file of two runs."""

    file: str
    """Path below `checkpoints_qlora/` of the straight run."""
    straight: str
    """SHA-256 of what must be the same; empty if there is no such file."""
    interrupted: str
    difference: str
    """The first difference in words; empty if there is none."""

    @property
    def identical(self) -> bool:
        """Whether both files are there and say the same."""
        return bool(self.straight) and self.straight == self.interrupted


def compare_runs(straight: Project, interrupted: Project) -> list[Comparison]:
    """Compare the newest checkpoint, the best adapter and the metrics of two finished runs."""
    newest = checkpoint_folders(straight.run_dir)[0].name
    names = [f"{newest}/{name}" for name in ("adapters.safetensors", "optimizer.safetensors", "state.json")]
    names += ["adapters/adapters.safetensors", "adapters/adapter_config.json"]
    names += [straight.metrics_file.name, straight.metrics_csv.name]
    return [compare_file(straight.run_dir / name, interrupted.run_dir / name, name) for name in names]


def compare_file(straight: Path, interrupted: Path, name: str) -> Comparison:
    """Compare one file of both runs, shown as `name`."""
    one, other = _essence(straight), _essence(interrupted)
    if one is None or other is None:
        difference = _("missing")
    else:
        difference = "" if one == other else first_difference(straight, interrupted)
    return Comparison(name, _sha256(one), _sha256(other), difference)


def checkpoint_digests(run_dir: Path) -> dict[int, str]:
    """Return a digest over arrays and position of each checkpoint, by its step."""
    digests = {}
    for folder in checkpoint_folders(run_dir):
        parts = [_sha256(_essence(folder / name)) for name in
                 ("adapters.safetensors", "optimizer.safetensors", "state.json")]  # fmt: skip
        digests[checkpoint_step(folder)] = hashlib.sha256("".join(parts).encode()).hexdigest()
    return digests


def first_difference(straight: Path, interrupted: Path) -> str:
    """Say in words where two files differ."""
    read = _READERS.get(straight.name)
    if read:
        return _records_difference(read(straight), read(interrupted))
    one, other = straight.read_bytes(), interrupted.read_bytes()
    if straight.suffix == ".safetensors":
        return _arrays_difference(_arrays(one), _arrays(other))
    position = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), None)
    at = min(len(one), len(other)) if position is None else position
    return _("from byte {position} on").format(position=at)


def _essence(path: Path) -> bytes | None:
    """Return what must be the same of a file: its bytes, or its records without times; None if missing."""
    if not path.is_file():
        return None
    read = _READERS.get(path.name)
    return json.dumps(read(path), sort_keys=True).encode() if read else path.read_bytes()


def _sha256(content: bytes | None) -> str:
    return "" if content is None else hashlib.sha256(content).hexdigest()


# Files of records


def _metrics_json(path: Path) -> list[JsonObject]:
    return [_timeless(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def _metrics_csv(path: Path) -> list[JsonObject]:
    return [_timeless(row) for row in csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")))]


def _state(path: Path) -> list[JsonObject]:
    """Return the content of a checkpoint's `state.json`; its own checksums follow from the rest."""
    values = json.loads(path.read_text(encoding="utf-8"))
    progress = _timeless(values.pop("progress"))
    if progress["pending"]:
        progress["pending"] = _timeless(progress["pending"])
    return [{key: value for key, value in values.items() if key not in ("files", "run", "sha256")} | progress]


def _timeless(record: JsonObject) -> JsonObject:
    return {key: value for key, value in record.items() if key not in TIMES}


_READERS: dict[str, Callable[[Path], list[JsonObject]]] = {
    "state.json": _state,
    "training_metrics.json": _metrics_json,
    "training_metrics.csv": _metrics_csv,
}


def _records_difference(straight: list[JsonObject], interrupted: list[JsonObject]) -> str:
    for line, (one, other) in enumerate(zip(straight, interrupted, strict=False), start=1):
        for key in one.keys() | other.keys():
            if one.get(key) != other.get(key):
                return _("record {line}, {key}: {one} and {other}").format(
                    line=line, key=key, one=one.get(key), other=other.get(key)
                )
    return _("{one} and {other} records").format(one=len(straight), other=len(interrupted))


# Safetensors: 8 bytes with the length of a JSON header (little endian), the header, the arrays


def _arrays(content: bytes) -> dict[str, tuple[JsonObject, bytes]]:
    """Return description and bytes of each array by its name; empty if this is no such file."""
    try:
        start = 8 + int.from_bytes(content[:8], "little")
        header: dict[str, JsonObject] = json.loads(content[8:start])
        header.pop("__metadata__", None)
        return {
            name: ({**entry, "data_offsets": None}, content[start:][slice(*entry["data_offsets"])])
            for name, entry in header.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _arrays_difference(
    straight: dict[str, tuple[JsonObject, bytes]], interrupted: dict[str, tuple[JsonObject, bytes]]
) -> str:
    names = sorted(straight.keys() | interrupted.keys())
    different = [name for name in names if straight.get(name) != interrupted.get(name)]
    if not different:
        return _("the same arrays in another order or form")
    return ngettext(
        "{count} of {total} array, the first is {name}",
        "{count} of {total} arrays, the first is {name}",
        len(names),
    ).format(count=len(different), total=len(names), name=different[0])
