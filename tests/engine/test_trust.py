"""Model folders and adapters that bring code: it is never run, and what needs it is refused."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.config import TrainingConfig
from engine.dataset.batches.chat_template import TemplateError
from engine.dataset.batches.tokenize import ExampleTokenizer
from engine.dataset.jsonl.row import Row
from engine.errors import UserError
from engine.hardware.project_checks import begin_trial, check_model
from engine.model.loading import load_base
from engine.model_folder.tokenizer import load_tokenizer
from engine.project import Project
from tests.support.tiny import write_model

import numpy as np
import pytest

Change = Callable[[Path], None]
CODE = {"AutoTokenizer": ["evil.Evil", "evil.Evil"], "AutoConfig": "evil.Evil", "AutoModel": "evil.Evil"}


class Payload:
    """Writes the marker when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.marker, "unpickled")


@pytest.fixture
def marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that code of the folder would write; asking for leave to run it is a failure too."""
    monkeypatch.setattr("builtins.input", lambda *_args: pytest.fail("asked for leave"))
    return tmp_path / "marker"


@pytest.fixture
def folder(tmp_path: Path, marker: Path) -> Path:
    """A sound model folder with a Python file in it."""
    folder = write_model(tmp_path / "models" / "tiny")
    code = f"from pathlib import Path\nPath({str(marker)!r}).write_text('run')\nclass Evil: pass\n"
    (folder / "evil.py").write_text(code)
    return folder


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def config(**values: Any) -> Change:
    return lambda folder: change(folder / "config.json", **values)


def tokenizer(**values: Any) -> Change:
    return lambda folder: change(folder / "tokenizer_config.json", **values)


def without(*names: str) -> Change:
    def delete(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return delete


def both(*changes: Change) -> Change:
    def each(folder: Path) -> None:
        for step in changes:
            step(folder)

    return each


def pickled(name: str) -> Change:
    """Weights in a pickle in the place of the safe ones."""

    def write(folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        payload = Payload(folder.parents[1] / "marker")
        if name.endswith("npz"):
            np.savez(folder / name, weight=np.array([payload], dtype=object))
        else:
            (folder / name).write_bytes(pickle.dumps(payload))

    return write


@pytest.mark.parametrize(
    "ask",
    [
        config(auto_map=CODE),
        tokenizer(auto_map=CODE),
        tokenizer(auto_map={"AutoTokenizer": ["elsewhere/evil--evil.Evil", None]}),
        tokenizer(auto_map=["evil.Evil", None]),
        lambda folder: (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Payload(folder / "marker"))),
    ],
)
def test_code_that_is_not_needed_is_left_alone(folder: Path, marker: Path, ask: Change) -> None:
    """A known architecture with its tokenizer.json works; nothing that the folder brings is run."""
    before = load_base(folder).tokenizer.encode("Olá <|im_end|>")
    ask(folder)
    assert load_base(folder).tokenizer.encode("Olá <|im_end|>") == before
    assert load_tokenizer(folder).encode("Olá <|im_end|>") == before
    assert not marker.exists() and not (folder / "marker").exists()


@pytest.mark.parametrize(
    "ask",
    [
        config(model_file="evil.py"),
        config(model_file="../../models/tiny/evil.py", model_type="evil"),
        config(model_type="evil", auto_map=CODE),
        tokenizer(auto_map=["evil.Evil", None], tokenizer_class="Evil"),
        both(config(model_type="evil"), tokenizer(auto_map=CODE, tokenizer_class="Evil")),
        both(tokenizer(auto_map=CODE, tokenizer_class="Evil"), without("tokenizer.json")),
        both(tokenizer(auto_map=["evil.Evil", None]), without("tokenizer.json")),
    ],
)
def test_a_folder_that_needs_its_code_is_refused(folder: Path, marker: Path, ask: Change) -> None:
    """The refusal names the file that asks, before anything of the folder is run."""
    ask(folder)
    with pytest.raises(UserError, match=r"wants to run code of its own \(\w+\.json\)"):
        load_base(folder)
    assert not marker.exists()


def test_the_machine_check_says_so_beforehand(folder: Path) -> None:
    """A folder that needs its code is no usable base model."""
    project = Project(folder.parents[1])
    assert check_model(begin_trial(project)).status == "ok"
    config(model_file="evil.py")(folder)
    found = check_model(begin_trial(project))
    assert found.status == "error" and "code of its own" in found.detail


@pytest.mark.parametrize("name", ["pytorch_model.bin", "weights.npz", "model.pt", "model.ckpt", "model.pkl"])
def test_pickled_weights_are_refused(folder: Path, marker: Path, name: str) -> None:
    """Only safetensors are read."""
    pickled(name)(folder)
    with pytest.raises(UserError, match=f"can run code .{name}"):
        load_base(folder)
    assert not marker.exists()


@pytest.mark.parametrize(
    "name", ["../../evil", "evil.py", "..evil", "{folder}/evil", "__init__", "", None, 7, "a\x00b", ["llama"]]
)
def test_an_architecture_is_a_name_and_no_way_to_a_file(folder: Path, marker: Path, name: Any) -> None:
    """Whatever stands in model_type, only mlx-lm's own modules are imported."""
    config(model_type=name.format(folder=folder) if isinstance(name, str) else name)(folder)
    with pytest.raises(UserError, match=r"of the architecture|does not say what kind of model"):
        load_base(folder)
    assert not marker.exists()


@pytest.mark.parametrize("key", ["tool_parser_type", "chat_template_type"])
@pytest.mark.parametrize("name", ["../../evil", "..evil", "{folder}/evil", "evil"])
def test_a_parser_is_a_name_and_no_way_to_a_file(folder: Path, marker: Path, key: str, name: str) -> None:
    """mlx-lm imports these too by the name that stands in the folder."""
    tokenizer(**{key: name.format(folder=folder)})(folder)
    with pytest.raises(UserError, match="Cannot load the base model"):
        load_base(folder)
    assert not marker.exists()


@pytest.mark.parametrize(
    "attack",
    [
        "cycler.__init__.__globals__.os.mkdir('{marker}')",
        "lipsum.__globals__['os'].mkdir('{marker}')",
        "().__class__.__base__.__subclasses__()",
        "messages.append(1)",
        "self.__init__.__globals__",
    ],
)
def test_a_chat_template_runs_in_a_sandbox(folder: Path, marker: Path, attack: str) -> None:
    """It is a program: it gets at the messages and at nothing else."""
    template = "{{{{ {} }}}}".format(attack.replace("{marker}", str(marker)))
    tokenizer(chat_template=template)(folder)
    tokenize = ExampleTokenizer(load_tokenizer(folder), TrainingConfig())
    with pytest.raises(TemplateError):
        tokenize(Row(1, ({"role": "user", "content": "a"}, {"role": "assistant", "content": "b"})))
    assert not marker.exists()


@pytest.mark.parametrize(
    "damage",
    [
        config(num_hidden_layers=10**8),
        config(num_hidden_layers=10**8, text_config={"num_hidden_layers": 10**8}),
        config(num_hidden_layers=float("inf")),
        config(hidden_size=10**12),
        config(vocab_size=-1),
        config(num_attention_heads=0),
        config(text_config="x" * 1000),
        lambda folder: (folder / "config.json").write_text("[" * 100_000),
        lambda folder: (folder / "config.json").write_text('{"a":' * 100_000),
        lambda folder: (folder / "config.json").write_text("7" * 5000),
        lambda folder: (folder / "config.json").write_bytes(b"\xff\x00\x1b[2J"),
        lambda folder: (folder / "tokenizer.json").write_text("[" * 100_000),
        lambda folder: (folder / "tokenizer_config.json").write_text("{" * 100_000),
        lambda folder: (folder / "model.safetensors").write_bytes(b"\xff" * 100),
    ],
)
def test_absurd_model_files_end_in_a_refusal(folder: Path, damage: Change) -> None:
    """Sizes beyond reason, nesting without end, broken text: one sentence, soon, without much memory."""
    damage(folder)
    with pytest.raises(UserError) as caught:
        load_base(folder)
    assert str(caught.value).isprintable()
