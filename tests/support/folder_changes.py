"""Changes of a model folder, as people, downloads and other programs make them."""

import json
import os
import shutil
import struct
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from engine.backend import mx, nn
from tests.support.architectures import ARCHITECTURES, SIZES
from tests.support.tiny import CHATML

from mlx.utils import tree_flatten

Change = Callable[[Path], None]


def config(**values: Any) -> Change:
    return lambda folder: merge(folder / "config.json", values)


def null(*names: str) -> Change:
    def write(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | dict.fromkeys(names)))

    return write


def tokenizer(**values: Any) -> Change:
    return lambda folder: merge(folder / "tokenizer_config.json", values)


def merge(path: Path, values: dict[str, Any]) -> None:
    """Change values of a JSON file; those that are None go."""
    changed = json.loads(path.read_text()) | values
    path.write_text(json.dumps({key: value for key, value in changed.items() if value is not None}))


def file(name: str, content: bytes | str) -> Change:
    def write(folder: Path) -> None:
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)

    return write


def without(*names: str) -> Change:
    def delete(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return delete


def moved(name: str, to: str) -> Change:
    def move(folder: Path) -> None:
        (folder / name).rename(folder / to)

    return move


def copied(source: Path | str, to: str) -> Change:
    """Lay a copy of a file into the folder; a relative one is the folder's own."""

    def copy(folder: Path) -> None:
        shutil.copy(folder / source, folder / to)

    return copy


def longer(name: str, by: int) -> Change:
    def append(folder: Path) -> None:
        with (folder / name).open("ab") as written:
            written.write(b"x" * by)

    return append


def cut(name: str, part: float) -> Change:
    """Leave the beginning of a file, as a download that broke off does."""
    return lambda folder: os.truncate(folder / name, int((folder / name).stat().st_size * part))


def both(*changes: Change) -> Change:
    def each(folder: Path) -> None:
        for change in changes:
            change(folder)

    return each


def tensors(change: Callable[[dict[str, mx.array]], object]) -> Change:
    def write(folder: Path) -> None:
        arrays = dict(mx.load(str(folder / "model.safetensors")))
        change(arrays)
        mx.eval(arrays)
        mx.save_safetensors(str(folder / "model.safetensors"), arrays)

    return write


def of_kind(kind: str, quantize: dict[str, Any] | None, **changes: Any) -> Change:
    """Write another architecture's weights and configuration."""

    def write(folder: Path) -> None:
        values = {**SIZES, "model_type": kind, **ARCHITECTURES.get(kind, {}), **changes}
        module = import_module(f"mlx_lm.models.{kind}")
        mx.random.seed(7)
        model = module.Model(module.ModelArgs.from_dict(values))
        if quantize:
            nn.quantize(model, **quantize)
            values["quantization"] = quantize
        mx.save_safetensors(str(folder / "model.safetensors"), dict(tree_flatten(model.parameters())))
        (folder / "config.json").write_text(json.dumps(values))

    return write


def sharded(folder: Path) -> None:
    """Write the weights in two files with an index."""
    arrays = dict(mx.load(str(folder / "model.safetensors")))
    mx.eval(arrays)
    names = sorted(arrays)
    index: dict[str, str] = {}
    for number, part in enumerate((names[::2], names[1::2]), start=1):
        shard = f"model-{number:05}-of-00002.safetensors"
        mx.save_safetensors(str(folder / shard), {name: arrays[name] for name in part})
        index |= dict.fromkeys(part, shard)
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))


def index_of(*names: str) -> Change:
    return file("model.safetensors.index.json", json.dumps({"weight_map": dict(enumerate(names))}))


def header_of(size: int) -> Change:
    return file("model.safetensors", struct.pack("<Q", size) + b"{}")


def template_file(name: str, as_json: bool) -> Change:
    content = json.dumps({"chat_template": CHATML}) if as_json else CHATML
    return both(tokenizer(chat_template=None), file(name, content))


def into_cache(folder: Path) -> None:
    """Lay the model out as Hugging Face's cache does."""
    target = folder.parent / "models--someone--tiny"
    (target / "blobs").mkdir(parents=True)
    (target / "refs").mkdir()
    (target / "refs" / "main").write_text("abc123")
    snapshot = target / "snapshots" / "abc123"
    snapshot.mkdir(parents=True)
    for path in list(folder.iterdir()):
        shutil.move(path, target / "blobs" / path.name)
        (snapshot / path.name).symlink_to(f"../../blobs/{path.name}")
    folder.rmdir()


def renamed(to: str) -> Change:
    def move(folder: Path) -> None:
        (folder.parent / to).parent.mkdir(parents=True, exist_ok=True)
        folder.rename(folder.parent / to)

    return move
