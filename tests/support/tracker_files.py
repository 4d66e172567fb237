"""What the trackers of a run have, as their own libraries read it."""

import json
import sqlite3
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.project import Project

import pytest

Figures = dict[int, dict[str, float]]
"""Of each step, by their names."""
_BLOCK = 32768
_FULL, _FIRST, _MIDDLE, _LAST = range(1, 5)


def figures_in(name: str, project: Project) -> Figures:
    """Return the figures that a tracker has; a step that it has twice is an error."""
    folder = project.trackers_dir / name
    return {"tensorboard": _tensorboard, "wandb": _wandb, "trackio": _trackio}[name](folder)


def config_in(name: str, project: Project) -> dict[str, Any]:
    """Return the configuration that a tracker has."""
    folder = project.trackers_dir / name
    return {"tensorboard": _hyperparameters, "wandb": _wandb_config, "trackio": _trackio_config}[name](folder)


def _add(found: Figures, step: int, name: str, value: float) -> None:
    figures = found.setdefault(step, {})
    assert name not in figures, f"step {step} is there twice"
    figures[name] = value


# TensorBoard's reader of event files


def _accumulated(folder: Path) -> Any:
    pytest.importorskip("tensorboard", exc_type=ImportError)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    return events.Reload()


def _tensorboard(folder: Path) -> Figures:
    events, found = _accumulated(folder), Figures()
    for tag in events.Tags()["scalars"]:
        for event in events.Scalars(tag):
            _add(found, event.step, tag, event.value)
    return found


def _hyperparameters(folder: Path) -> dict[str, Any]:
    content = _accumulated(folder).SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    from tensorboard.plugins.hparams import plugin_data_pb2

    settings = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info.hparams
    return {name: getattr(value, value.WhichOneof("kind")) for name, value in settings.items()}


# The records of Weights & Biases, in its own messages, which lie in the log format of LevelDB


def _records(folder: Path) -> Iterator[Any]:
    from wandb.proto.wandb_internal_pb2 import Record

    for path in sorted(folder.glob("wandb/offline-run-*/*.wandb")):
        yield from map(Record.FromString, _payloads(path.read_bytes()))


def _payloads(data: bytes) -> Iterator[bytes]:
    assert data[:4] == b":W&B"
    at, parts = 7, b""
    while at + 7 <= len(data):
        if _BLOCK - at % _BLOCK < 7:  # the rest of a block is too small for the head of a record
            at += _BLOCK - at % _BLOCK
            continue
        _checksum, length, kind = struct.unpack_from("<IHB", data, at)
        parts += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (_FULL, _LAST):
            yield parts
            parts = b""


def _wandb(folder: Path) -> Figures:
    found: Figures = {}
    for record in _records(folder):
        if record.WhichOneof("record_type") == "history":
            items = {item.key or ".".join(item.nested_key): item.value_json for item in record.history.item}
            values = {key: json.loads(value) for key, value in items.items()}
            for name, value in values.items():
                if not name.startswith("_"):
                    _add(found, values.get("_step", record.history.step.num), name, value)
    return found


def _wandb_config(folder: Path) -> dict[str, Any]:
    runs = [record.run for record in _records(folder) if record.WhichOneof("record_type") == "run"]
    assert len({run.run_id for run in runs}) == 1
    return {item.key: json.loads(item.value_json) for item in runs[0].config.update}


# trackio's table


def _selected(folder: Path, query: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(folder / "mqlora-tui.db") as table:
        return table.execute(query).fetchall()


def _trackio(folder: Path) -> Figures:
    found: Figures = {}
    for step, metrics in _selected(folder, "SELECT step, metrics FROM metrics"):
        for name, value in json.loads(metrics).items():
            _add(found, step, name, value)
    return found


def _trackio_config(folder: Path) -> dict[str, Any]:
    ((config,),) = _selected(folder, "SELECT config FROM configs")
    return dict(json.loads(config))
