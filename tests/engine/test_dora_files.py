"""DoRA from the setting to the files: trained as mlx-lm does, read by it, resumed, exported or refused."""

import json
from pathlib import Path
from typing import Any

from engine.analysis.report import format_report
from engine.backend import mx, nn
from engine.config import TrainingConfig
from engine.errors import UserError
from engine.fit.speeds import known_speeds
from engine.memory.predict import optimizer_bytes, trainable_parameters
from engine.model.adapter import adapter_weights, attach_adapter, load_adapter
from engine.model.adapter_file import read_adapter
from engine.model.loading import load_base
from engine.model_folder.dimensions import ModelDimensions
from engine.profiles import NAMES
from engine.project import Project
from engine.training.checkpoint_folders import checkpoint_folders
from engine.training.events import Paused
from engine.training.loss import make_loss
from engine.training.step import StepFunction
from engine.training.update import make_optimizer
from tests.campaigns.common import outcome
from tests.engine.conftest import copy_of
from tests.support.architectures import build, made_fast
from tests.support.batching import whole_batch
from tests.support.moments import step_done
from tests.support.run_files import verdict_of
from tests.support.steps import some_examples
from tests.support.tiny import CONFIG, RUN, tiny_project, train, write_model

import mlx.optimizers as optim
import numpy as np
import pytest
from mlx_lm.models.llama import Model, ModelArgs
from mlx_lm.tuner.dora import DoRALinear as MlxLmDoRALinear
from mlx_lm.tuner.trainer import default_loss
from mlx_lm.utils import load as load_with_mlx_lm
from mlx_lm.utils import load_model
from safetensors.numpy import load_file

DORA = RUN.updated({"fine_tune_type": "dora"})
CHANGES = {"fine_tune_type": "dora"}
TOKENS = mx.array([[5, 70, 200, 31, 9]])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose run is finished."""
    project = tiny_project(tmp_path_factory.mktemp("trained"))
    train(project, DORA)
    return project


def logits(model: nn.Module) -> mx.array:
    model.eval()
    return model(TOKENS).astype(mx.float32)


def test_twenty_steps_are_mlx_lms_training() -> None:
    """Its layers, loss and AdamW, a row a step: the same losses, and the same lengths at the end."""
    theirs, ours = build(run=CHANGES), build(run=CHANGES)
    begin = adapter_weights(theirs)
    examples = some_examples(20)
    for example in examples:  # mlx-lm's loss is of one stretch
        example.trained[:] = np.arange(len(example.tokens)) >= 2
    optimizer = optim.AdamW(1e-3, bias_correction=True, weight_decay=0.0)
    wanted = []
    for example in examples:
        spans = mx.array([[2, len(example.tokens) - 1]])
        tokens = mx.array(example.tokens)[None]
        (loss, _count), gradient = nn.value_and_grad(theirs, default_loss)(theirs, tokens, spans)
        optimizer.update(theirs, gradient)
        wanted.append(float(loss))
    made_fast(ours, "packed")
    config = DORA.updated({"learning_rate": 1e-3, "max_grad_norm": 0})
    step = StepFunction(ours, make_optimizer(config), make_loss(ours), 0.0)
    losses = [step([whole_batch([example])], 1e-3).loss for example in examples]
    assert losses == pytest.approx(wanted, rel=1e-4)
    found, expected = adapter_weights(ours), adapter_weights(theirs)
    assert found.keys() == expected.keys() and sum(name.endswith(".m") for name in found) == 14
    for name in (name for name in found if name.endswith(".m")):
        assert float(mx.abs(expected[name] - begin[name]).max()) > 1e-3, name
        assert float(mx.abs(found[name] - expected[name]).mean()) < 2e-5, name


def test_mlx_lm_loads_the_adapter_and_every_checkpoint(trained: Project) -> None:
    """The same logits as ours; what is trained is not what a LoRA run trains."""
    folders = [trained.adapters_dir, *checkpoint_folders(trained.run_dir)]
    assert len(folders) > 2
    config = json.loads((trained.adapters_dir / "adapter_config.json").read_text())
    assert config["fine_tune_type"] == "dora"
    for folder in folders:
        theirs = load_with_mlx_lm(str(trained.model_dir("tiny")), adapter_path=str(folder))[0]
        assert sum(isinstance(module, MlxLmDoRALinear) for module in theirs.modules()) == 14
        ours = load_base(trained.model_dir("tiny")).model
        plain = logits(ours)
        loaded = load_adapter(ours, folder)
        # Theirs has the 4-bit weights, ours has them as float32.
        assert bool(mx.allclose(logits(theirs), logits(ours), rtol=1e-3, atol=1e-3)), folder
        assert not bool(mx.allclose(logits(ours), plain, atol=1e-2)), folder
        loaded.turn(False)
        assert mx.array_equal(logits(ours), plain)


def test_it_begins_as_the_base_model(tmp_path: Path) -> None:
    """With B zero and the lengths those of the rows nothing is changed, to rounding."""
    folder = write_model(tmp_path / "tiny")
    model = load_model(folder)[0]
    plain = logits(model)
    attach_adapter(model, DORA)
    assert mx.allclose(logits(model), plain, rtol=1e-4, atol=1e-4)
    made_fast(model, "packed")
    assert mx.allclose(logits(model), plain, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("changes", [{}, {"lora_dropout": 0.3}, {"gradient_checkpointing": "on"}])
def test_a_paused_run_ends_in_the_same_bytes(tmp_path: Path, changes: dict[str, Any]) -> None:
    """Lengths and what the optimizer keeps of them are in a checkpoint."""
    config = DORA.updated({"num_epochs": 1, **changes})
    project, straight = tiny_project(tmp_path / "paused"), tiny_project(tmp_path / "straight")
    for step in (2, 4):
        assert isinstance(train(project, config, until=step_done(step))[-1], Paused)
    train(project, config)
    train(straight, config)
    assert outcome(project) == outcome(straight)
    (checkpoint, *_rest) = checkpoint_folders(straight.run_dir)
    kept = load_file(checkpoint / "optimizer.safetensors")
    assert any(name.endswith("q_proj.m.v") for name in kept)


@pytest.mark.parametrize("optimizer", ["adamw", "adafactor", "lion"])
def test_numbers_of_adapter_and_optimizer_are_foretold(tmp_path: Path, optimizer: str) -> None:
    """Counted on the files of a checkpoint."""
    project = tiny_project(tmp_path)
    config = DORA.updated({"optimizer": optimizer, "max_steps": 3})
    train(project, config)
    (checkpoint, *_rest) = checkpoint_folders(project.run_dir)
    shape = ModelDimensions.read(project.model_dir("tiny"))
    assert shape is not None
    stored = load_file(checkpoint / "adapters.safetensors").values()
    assert sum(array.size for array in stored) == trainable_parameters(shape, config)
    kept = load_file(checkpoint / "optimizer.safetensors")
    numbers = sum(array.nbytes for name, array in kept.items() if name not in ("step", "learning_rate"))
    assert numbers == optimizer_bytes(shape, config)


def test_training_goes_on_from_an_adapter_of_its_kind_alone(trained: Project, tmp_path: Path) -> None:
    """Its first loss is that of the adapter; a LoRA run refuses it and names the setting."""
    project = copy_of(trained, tmp_path / "next")
    folder = tmp_path / "adapter"
    project.adapters_dir.rename(folder)
    with pytest.raises(UserError, match="fine_tune_type=dora"):
        train(project, RUN.updated({"init_adapter": str(folder)}), "restart")
    config = DORA.updated({"init_adapter": str(folder), "max_steps": 1, "learning_rate": 1e-9})
    train(project, config, "restart")
    before, after = read_adapter(folder), read_adapter(project.adapters_dir)
    assert after.weights.keys() == before.weights.keys()
    assert all(mx.allclose(after.weights[name], before.weights[name], atol=1e-6) for name in before.weights)


def test_the_report_names_it_and_the_export_that_works(trained: Project) -> None:
    """Among the figures; an export beside the base model would be refused."""
    text = " ".join(format_report(*verdict_of(trained)).replace("\\\n", "").split())
    assert " · DoRA" in text and "export --to=ollama --bits=8" in text


def test_a_lora_runs_speed_says_nothing_of_it(trained: Project, tmp_path: Path) -> None:
    """Nor the other way round: a run's speed counts for its own kind of adapter."""
    assert known_speeds(trained, DORA).keys() == set(NAMES)
    assert not known_speeds(trained, RUN)
    project = tiny_project(tmp_path)
    train(project, RUN.updated({"max_steps": 2}))
    assert known_speeds(project, RUN) and not known_speeds(project, DORA)


def test_muon_is_refused_with_it() -> None:
    """In one sentence with what to set, whichever of the two comes last."""
    for config, change in ((DORA, {"optimizer": "muon"}), (RUN.updated({"optimizer": "muon"}), CHANGES)):
        with pytest.raises(UserError, match="optimizer=muon does not go with fine_tune_type=dora"):
            config.updated(change)
    with pytest.raises(UserError, match="one of: lora, dora"):
        TrainingConfig.parse({"fine_tune_type": "full"})


@pytest.mark.parametrize("bits", [3, 6])
def test_widths_that_mlx_lm_cannot_read_are_refused(bits: int) -> None:
    """It takes the inputs of such a matrix for fewer than they are; 8 bits work."""
    model = Model(ModelArgs.from_dict(CONFIG))
    nn.quantize(model, group_size=32, bits=bits)
    layer = model.layers[0].mlp.up_proj
    assert MlxLmDoRALinear.from_base(layer, r=2).lora_a.shape[0] < CONFIG["hidden_size"]
    with pytest.raises(UserError, match=f"no DoRA for weights of {bits} bits"):
        attach_adapter(model, DORA)
    even = Model(ModelArgs.from_dict(CONFIG))
    nn.quantize(even, group_size=32, bits=8)
    attach_adapter(even, DORA)


def broken(folder: Path, change: Any) -> None:
    arrays = dict(mx.load(str(folder / "adapters.safetensors")))
    change(arrays)
    mx.save_safetensors(str(folder / "adapters.safetensors"), arrays)


NAME = "model.layers.0.self_attn.q_proj.m"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda arrays: arrays.pop(NAME), f"{NAME} is missing"),
        (lambda arrays: arrays.update({NAME: mx.ones(3)}), f"{NAME} is 3, not one length for each output"),
        (lambda arrays: arrays.update({NAME: mx.array(1.0)}), f"{NAME} is -, not one length"),
        (lambda arrays: arrays.update({NAME: arrays[NAME] * float("nan")}), "no finite decimal number"),
        (lambda arrays: arrays.update({"model.layers.9.mlp.x.m": mx.ones(3)}), "is not of its keys"),
    ],
)
def test_damaged_lengths_are_refused(trained: Project, tmp_path: Path, change: Any, named: str) -> None:
    """By their name, in one sentence."""
    folder = copy_of(trained, tmp_path / "copy").adapters_dir
    broken(folder, change)
    with pytest.raises(UserError) as caught:
        read_adapter(folder)
    assert named in caught.value.problem


def test_lengths_in_a_lora_adapter_are_refused(trained: Project, tmp_path: Path) -> None:
    """A file that says it is of LoRA has none, and none is left out in silence."""
    folder = copy_of(trained, tmp_path / "copy").adapters_dir
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"fine_tune_type": "lora"}))
    with pytest.raises(UserError, match=r"\.m is no matrix of a LoRA layer"):
        read_adapter(folder)
