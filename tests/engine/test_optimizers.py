"""Each optimizer against its paper in float64 NumPy, exact under resume, known to the memory's prediction."""

from typing import Any

from engine.backend import mx
from engine.config import TrainingConfig
from engine.fit.price import advised_rate
from engine.memory.predict import optimizer_bytes, run_bytes, trainable_parameters
from engine.model_folder.dimensions import ModelDimensions
from engine.project import Project
from engine.training.flat_parameters import ParameterVector
from engine.training.optimizer_state import begin, named_state, restored_state
from engine.training.update import make_optimizer, update_function
from tests.campaigns.common import outcome
from tests.support.moments import step_done
from tests.support.tiny import RUN, train

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file

Array = NDArray[np.float64]
OTHERS = ("adafactor", "lion", "muon")
RATE, DECAY, STEPS = 0.01, 0.1, 6
SHAPES = {"layers.0.lora_a": (20, 3), "layers.0.lora_b": (3, 14)}
"""A (inputs, rank) and B (rank, outputs)."""


def adafactor(weights: Array, gradients: list[Array]) -> Array:
    """Shazeer and Stern, 2018, algorithm 4 with a given rate: factored squares, updates of RMS 1."""
    rows, columns = np.zeros(len(weights)), np.zeros(weights.shape[1])
    for step, gradient in enumerate(gradients, start=1):
        share = 1 - step**-0.8
        squares = gradient**2 + 1e-30
        rows = share * rows + (1 - share) * squares.mean(axis=1)
        columns = share * columns + (1 - share) * squares.mean(axis=0)
        update = gradient / np.sqrt(np.outer(rows, columns) / rows.mean())
        update /= max(1.0, np.sqrt((update**2).mean()))
        weights = weights - RATE * DECAY * weights - RATE * update
    return weights


def lion(weights: Array, gradients: list[Array]) -> Array:
    """Chen et al., 2023, algorithm 2."""
    momentum = np.zeros_like(weights)
    for gradient in gradients:
        update = np.sign(0.9 * momentum + 0.1 * gradient) + DECAY * weights
        momentum = 0.99 * momentum + 0.01 * gradient
        weights = weights - RATE * update
    return weights


def muon(weights: Array, gradients: list[Array]) -> Array:
    """Jordan et al., 2024, on a matrix (outputs, inputs), with Liu et al.'s decoupled weight decay."""
    momentum = np.zeros_like(weights)
    for gradient in gradients:
        momentum = 0.95 * momentum + 0.05 * gradient
        x = 0.05 * gradient + 0.95 * momentum
        x = x / (np.sqrt((x**2).sum()) + 1e-7)
        for _step in range(5):  # towards the nearest orthogonal matrix, from whichever side
            square = x @ x.T
            x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
        scale = max(1.0, len(weights) / weights.shape[1]) ** 0.5
        weights = weights - RATE * DECAY * weights - RATE * scale * x
    return weights


def turned_muon(weights: Array, gradients: list[Array]) -> Array:
    """LoRA's A and B are kept the other way round."""
    return muon(weights.T, [gradient.T for gradient in gradients]).T


REFERENCES = {"adafactor": adafactor, "lion": lion, "muon": turned_muon}


def drawn(seed: int) -> dict[str, Array]:
    draw = np.random.default_rng(seed)
    return {name: draw.normal(size=shape) for name, shape in SHAPES.items()}


def vector_of(arrays: dict[str, Array]) -> mx.array:
    return mx.array(np.concatenate([arrays[name].ravel() for name in sorted(SHAPES)]), mx.float32)


@pytest.mark.parametrize("name", OTHERS)
def test_steps_follow_the_paper(name: Any) -> None:
    """Six updates of both of LoRA's factors, with weight decay; what is kept is put back after each."""
    start, gradients = drawn(0), [drawn(seed) for seed in range(1, STEPS + 1)]
    optimizer = make_optimizer(TrainingConfig(optimizer=name, learning_rate=RATE, weight_decay=DECAY))
    layout = ParameterVector({"layers": [{"lora_a": mx.zeros((20, 3)), "lora_b": mx.zeros((3, 14))}]})
    vector = vector_of(start)
    begin(optimizer, layout, vector)
    state, update = optimizer.state, update_function(optimizer, 0.0, layout)
    for gradient in gradients:
        state = restored_state(state, layout, named_state(state, layout))
        vector, state, _norm = update(vector, state, vector_of(gradient), mx.array(1.0), mx.array(RATE))
    found = layout.named(vector)
    for key in SHAPES:
        expected = REFERENCES[name](start[key], [gradient[key] for gradient in gradients])
        assert np.abs(np.array(found[key]) - expected).max() < 2e-5, key
    untouched, same, _norm = update(vector, state, vector_of(drawn(9)), mx.array(np.nan), mx.array(RATE))
    assert np.array_equal(untouched, vector)
    before, after = named_state(state, layout), named_state(same, layout)
    assert all(np.array_equal(before[key], after[key]) for key in before)


def run_of(name: str) -> TrainingConfig:
    return RUN.updated({"optimizer": name, "num_epochs": 1, "weight_decay": 0.1, "learning_rate": 1e-3})


@pytest.mark.parametrize("name", OTHERS)
def test_a_paused_run_ends_in_the_same_bytes(project: Project, name: str) -> None:
    """Paused in the middle; what a checkpoint holds of the optimizer is as much as is predicted."""
    config = run_of(name)
    train(project, config, "restart")
    whole = outcome(project)
    train(project, config, "restart", until=step_done(4))
    train(project, None, "resume")
    assert outcome(project) == whole
    (checkpoint,) = project.run_dir.glob("checkpoint_*_step6")
    kept = load_file(checkpoint / "optimizer.safetensors")
    held = sum(array.nbytes for key, array in kept.items() if key not in ("step", "learning_rate"))
    model = ModelDimensions.read(project.models_dir / "tiny")
    assert model and held == optimizer_bytes(model, config)


def test_what_is_kept_is_known() -> None:
    """For Mistral 7B's sizes at rank 8: two numbers a weight, one, one, and those of rows and columns."""
    mistral = ModelDimensions(4096, 32, 32, 8, 128, 14336, 32768, False, 4)
    weights = trainable_parameters(mistral, TrainingConfig())
    configs = {name: TrainingConfig().updated({"optimizer": name}) for name in ("adamw", *OTHERS)}
    kept = {name: optimizer_bytes(mistral, config) for name, config in configs.items()}
    assert (kept["adamw"], kept["lion"], kept["muon"]) == (8 * weights, 4 * weights, 4 * weights)
    assert kept["adafactor"] == 4 * (weights // 8 + 32 * 7 * 2 * 8)
    assert run_bytes(mistral, TrainingConfig(optimizer="lion", keep_checkpoints=3)) == (5 * 8 + 4) * weights


@pytest.mark.parametrize(("name", "rate"), [("adafactor", 2e-4), ("lion", 6e-5), ("muon", 6e-4)])
def test_each_is_advised_its_own_rate(name: Any, rate: float) -> None:
    """As a multiple of AdamW's."""
    assert advised_rate(TrainingConfig(optimizer=name)) == rate
