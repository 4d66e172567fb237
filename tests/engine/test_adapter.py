"""Adapters in mlx-lm's form: what we save, mlx-lm loads, and the other way round."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.backend import mx, nn
from engine.config import TrainingConfig
from engine.errors import UserError
from engine.model.adapter import adapter_weights, attach_adapter, load_adapter
from engine.model.loading import load_base
from engine.project import Project
from engine.training.checkpoint_folders import checkpoint_folders
from tests.support.tiny import RUN, tiny_project, train

import pytest
from mlx_lm.utils import load as load_with_mlx_lm

TOKENS = mx.array([[5, 70, 200, 31, 9]])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose run is finished."""
    project = tiny_project(tmp_path_factory.mktemp("trained"))
    train(project, RUN.updated({"lora_layers": 1, "lora_dropout": 0.2}))
    return project


def base(project: Project) -> nn.Module:
    return load_base(project.model_dir("tiny")).model


def logits(model: nn.Module) -> mx.array:
    model.eval()
    found = model(TOKENS).astype(mx.float32)
    mx.eval(found)
    return found


def test_mlx_lm_loads_the_best_adapter_and_every_checkpoint(trained: Project) -> None:
    """The same logits as ours, which differ from the base model's and from each other."""
    folders = [trained.adapters_dir, *checkpoint_folders(trained.run_dir)]
    assert len(folders) > 2
    plain, seen = logits(base(trained)), []
    for folder in folders:
        theirs = load_with_mlx_lm(str(trained.model_dir("tiny")), adapter_path=str(folder))[0]
        ours = base(trained)
        load_adapter(ours, folder)
        # Theirs multiplies packed 4-bit weights, ours has them as float32.
        assert bool(mx.allclose(logits(theirs), logits(ours), rtol=1e-3, atol=1e-3)), folder
        assert not bool(mx.allclose(logits(ours), plain, atol=1e-2)), folder
        seen.append(logits(ours))
    assert not bool(mx.allclose(seen[1], seen[2], atol=1e-3))


def test_the_adapter_config_is_in_mlx_lms_form(trained: Project) -> None:
    """Scale is alpha / rank; keys name the projections of a layer."""
    config = json.loads((trained.adapters_dir / "adapter_config.json").read_text())
    assert (config["fine_tune_type"], config["num_layers"]) == ("lora", 1)
    parameters = config["lora_parameters"]
    assert (parameters["rank"], parameters["scale"], parameters["dropout"]) == (2, 2.0, 0.2)
    assert set(parameters["keys"]) == {
        *(f"self_attn.{name}_proj" for name in "qkvo"),
        *(f"mlp.{name}_proj" for name in ("gate", "up", "down")),
    }


@pytest.mark.parametrize(
    ("values", "layers", "per_layer"),
    [({}, 2, 7), ({"lora_layers": 1}, 1, 7), ({"lora_layers": 99, "lora_targets": "q_proj,down_proj"}, 2, 2)],
)
def test_the_chosen_projections_get_an_adapter(
    trained: Project, values: dict[str, Any], layers: int, per_layer: int
) -> None:
    """The last layers first; two matrices of float32 each, and nothing else is trainable."""
    model = base(trained)
    before = logits(model)
    config = attach_adapter(model, RUN.updated(values))
    weights = adapter_weights(model)
    assert len(weights) == layers * per_layer * 2 and config["num_layers"] == layers
    assert {int(name.split(".")[2]) for name in weights} == set(range(2 - layers, 2))
    assert {array.dtype for array in weights.values()} == {mx.float32}
    assert mx.array_equal(logits(model), before)


def test_the_seed_decides_the_start(trained: Project) -> None:
    """The same adapter again, another with another seed."""
    found = []
    for seed in (1, 1, 2):
        model = base(trained)
        attach_adapter(model, RUN.updated({"seed": seed}))
        found.append(adapter_weights(model)["model.layers.1.mlp.up_proj.lora_a"])
    assert mx.array_equal(found[0], found[1]) and not mx.array_equal(found[0], found[2])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"lora_layers": 0}, "With lora_layers=0 no layer"),
        ({"lora_targets": "q_proj"}, "projection named q_proj"),
    ],
)
def test_an_adapter_without_a_layer_is_refused(
    trained: Project, changes: dict[str, object], reason: str
) -> None:
    """A run that could learn nothing does not begin, and is told why."""
    model = base(trained)
    for layer in model.layers:
        layer.self_attn.q_proj = nn.Identity()
    with pytest.raises(UserError, match=reason):
        attach_adapter(model, TrainingConfig.parse(changes))


def test_an_adapter_that_is_off_changes_nothing(trained: Project) -> None:
    """Bit for bit the base model, with no layer more; and on again, the adapter's."""
    model = base(trained)
    plain, layers = logits(model), dict(model.named_modules())
    adapter = load_adapter(model, trained.adapters_dir)
    adapted = logits(model)
    adapter.turn(False)
    assert mx.array_equal(logits(model), plain)
    assert {path: id(layer) for path, layer in model.named_modules()} == {
        path: id(layer) for path, layer in layers.items()
    }
    adapter.turn(True)
    assert mx.array_equal(logits(model), adapted)


@pytest.mark.parametrize("damage", ["missing", "torn", "config"])
def test_a_damaged_adapter_is_reported(trained: Project, tmp_path: Path, damage: str) -> None:
    """One sentence, with a way out."""
    for path in trained.adapters_dir.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    if damage == "missing":
        (tmp_path / "adapters.safetensors").unlink()
    elif damage == "torn":
        (tmp_path / "adapters.safetensors").write_bytes(b"x")
    else:
        (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(UserError, match="Cannot use the adapter"):
        load_adapter(base(trained), tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"fine_tune_type": "full"},
        {"fine_tune_type": "dora"},
        {"lora_parameters": {"rank": 2, "scale": float("nan"), "dropout": 0.0}},
        {"lora_parameters": {"rank": 2, "scale": "\x1b[2J", "dropout": 0.0}},
        {"lora_parameters": {"rank": 2, "scale": "2", "dropout": 0.0}},
        {"lora_parameters": {"rank": 2, "scale": 1e308, "dropout": 0.0}},
        {"lora_parameters": {"rank": 2, "scale": 2.0, "dropout": float("nan")}},
        {"lora_parameters": {"rank": 2, "scale": 2.0, "dropout": 0.0, "keys": 7}},
        {"lora_parameters": None},
        {"lora_parameters": {"rank": 10**9, "scale": 2.0, "dropout": 0.0}},
        {"lora_parameters": {"rank": -1, "scale": 2.0, "dropout": 0.0}},
        {"lora_parameters": {"rank": 2, "scale": 2.0, "dropout": 7}},
        {"num_layers": 2},
        {"num_layers": "all"},
    ],
)
def test_an_adapter_that_does_not_fit_its_configuration_is_reported(
    trained: Project, tmp_path: Path, change: dict[str, Any]
) -> None:
    """Other kinds, sizes beyond reason, layers that the file does not fill: refused, not half applied."""
    for path in trained.adapters_dir.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = tmp_path / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | change))
    with pytest.raises(UserError, match="Cannot use the adapter") as caught:
        load_adapter(base(trained), tmp_path)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("spoil", [lambda array: array * mx.nan, lambda array: array.astype(mx.int32)])
def test_an_adapter_with_numbers_that_are_none_is_reported(
    trained: Project, tmp_path: Path, spoil: Callable[[mx.array], mx.array]
) -> None:
    """It would answer every question with the same token."""
    config = trained.adapters_dir / "adapter_config.json"
    (tmp_path / config.name).write_bytes(config.read_bytes())
    weights = mx.load(str(trained.adapter_file))
    mx.save_safetensors(
        str(tmp_path / "adapters.safetensors"), {name: spoil(array) for name, array in weights.items()}
    )
    with pytest.raises(UserError, match="no finite decimal number"):
        load_adapter(base(trained), tmp_path)


def test_only_safetensors_are_taken_for_an_adapter(trained: Project, tmp_path: Path) -> None:
    """A pickle beside the configuration is not opened, and deep nesting ends in a sentence."""
    (tmp_path / "adapters.npz").write_bytes(b"PK")
    config = tmp_path / "adapter_config.json"
    config.write_bytes((trained.adapters_dir / "adapter_config.json").read_bytes())
    with pytest.raises(UserError, match="Cannot use the adapter"):
        load_adapter(base(trained), tmp_path)
    config.write_text("[" * 100_000)
    with pytest.raises(UserError, match="Cannot use the adapter"):
        load_adapter(base(trained), tmp_path)
