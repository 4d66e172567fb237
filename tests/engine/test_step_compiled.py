"""A step of many micro-batches, and one that MLX compiles, against the plain one."""

import math
import shutil
from dataclasses import replace
from threading import Event as StopEvent
from typing import Any

from engine.backend import mx, nn
from engine.model.gradient_checkpointing import checkpoint_layers
from engine.training import step as step_module
from engine.training.loss import batch_arrays, make_loss
from engine.training.scores import make_scores
from engine.training.step import StepFunction, StepResult, compiled_scores
from engine.training.update import make_optimizer
from tests.support.architectures import build, made_fast
from tests.support.batching import whole_batch
from tests.support.steps import some_examples, split, weights
from tests.support.tiny import RUN

import numpy as np
import pytest
from mlx.utils import tree_flatten, tree_map

pytestmark = pytest.mark.slow  # a compiler turns each step into a program: a minute where none is kept
needs_compiler = pytest.mark.skipif(not shutil.which("g++"), reason="MLX compiles with g++ on a CPU")
EXAMPLES = some_examples(6)
SHAPES = split(EXAMPLES, 40, 2)
Arrays = dict[str, Any]


def trained(batches: list[Any], steps: int = 2, **changes: Any) -> tuple[nn.Module, list[StepResult], Arrays]:
    """Train our layers for a few steps; return the model, the results and the optimizer's arrays."""
    config = RUN.updated({"learning_rate": 1e-3, **changes})
    model = build(run=changes)
    loss = made_fast(model, "resident")
    model.train()
    optimizer = make_optimizer(config)
    step = StepFunction(model, optimizer, loss, config.max_grad_norm)
    mx.random.seed(9)
    results = [step(batches, 1e-3) for _step in range(steps)]
    return model, results, {name: np.array(array) for name, array in tree_flatten(optimizer.state)}


def assert_near(ours: Any, theirs: Any) -> None:
    """Losses, norms, moments and weights agree to rounding, summed over two steps."""
    for one, other in zip(ours[1], theirs[1], strict=True):
        assert one.applied and other.applied
        assert one.loss == pytest.approx(other.loss, rel=1e-5)
        assert one.grad_norm == pytest.approx(other.grad_norm, rel=1e-4)
    for name, array in theirs[2].items():
        assert np.abs(ours[2][name] - array).max() <= 1e-3 * np.abs(array).max() + 1e-12, name
    before = weights(build())
    for name, array in weights(theirs[0]).items():
        assert np.abs(weights(ours[0])[name] - array).mean() <= 1e-2 * np.abs(array - before[name]).mean(), (
            name
        )


def test_many_micro_batches_make_the_step_of_one() -> None:
    """Two steps of our layers, all rows at once and cut into parts of at most two rows."""
    assert len(SHAPES) > 2
    assert_near(trained(SHAPES), trained([whole_batch(EXAMPLES)]))


@pytest.fixture
def compiling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compile steps as on a GPU."""
    monkeypatch.setattr(step_module, "can_compile", lambda: True)


@needs_compiler
@pytest.mark.parametrize("changes", [{}, {"lora_dropout": 0.3}])
def test_a_compiled_step_is_the_plain_one(monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]) -> None:
    """Several micro-batches of several shapes; with dropout the same units are dropped."""
    plain = trained(SHAPES, **changes)
    monkeypatch.setattr(step_module, "can_compile", lambda: True)
    assert_near(trained(SHAPES, **changes), plain)


@needs_compiler
def test_compiled_steps_draw_new_units_each_time(compiling: None) -> None:
    """The random state goes on: with a learning rate of nothing two steps differ by their dropout alone."""
    model = build(run={"lora_dropout": 0.5, "lora_targets": "v_proj"})
    loss = made_fast(model, "resident")
    model.train()
    step = StepFunction(model, make_optimizer(RUN), loss, 1.0)
    mx.random.seed(9)
    drawn = [step(SHAPES[:1], 0.0).loss for _step in range(3)]
    assert len(set(drawn)) == 3
    mx.random.seed(9)
    assert [step(SHAPES[:1], 0.0).loss for _step in range(3)] == drawn


@needs_compiler
@pytest.mark.parametrize(
    ("changes", "recomputed"),
    [({}, 0), ({"lora_dropout": 0.5}, 0), ({}, 2), ({"lora_targets": "q_proj,k_proj,v_proj"}, 2)],
)
def test_warming_up_changes_no_step(compiling: None, changes: dict[str, Any], recomputed: int) -> None:
    """Though the model was loaded for evaluation, though random units were drawn and layers recomputed."""

    def losses(is_warm: bool) -> list[float]:
        model = build(run={"lora_targets": "v_proj", **changes})
        loss = made_fast(model, "resident")
        checkpoint_layers(model, 2, recomputed)
        step = StepFunction(model, make_optimizer(RUN), loss, 1.0)
        model.eval()
        mx.random.seed(9)
        if is_warm:
            step.warm_up([batch.shape for batch in SHAPES], StopEvent())
        model.train()
        return [step(SHAPES, 1e-3).loss for _step in range(2)]

    assert losses(is_warm=True) == losses(is_warm=False)


@needs_compiler
def test_validation_is_compiled_without_dropout(compiling: None) -> None:
    """The compiled losses are the plain ones of a model that evaluates, with the parameters of now."""
    model = build(run={"lora_targets": "v_proj", "lora_dropout": 0.5})
    loss = made_fast(model, "resident")
    score, batch = compiled_scores(model, make_scores(model)), batch_arrays(SHAPES[0])
    model.eval()
    first = float(score(model, *batch).sum())
    assert first == pytest.approx(float(loss(model, *batch)), rel=1e-6)
    model.update(tree_map(lambda array: array * 2, model.trainable_parameters()))
    second = float(score(model, *batch).sum())
    assert second == pytest.approx(float(loss(model, *batch)), rel=1e-6)
    assert second != pytest.approx(first, rel=1e-4)
    mx.eval(model.parameters())


@needs_compiler
def test_no_tracer_stays_behind(compiling: None) -> None:
    """After steps of several shapes all arrays can be read, and the model computes as before."""
    model, _results, state = trained(SHAPES)
    mx.eval(model.parameters())
    assert all(np.isfinite(array).all() for array in state.values())
    assert bool(mx.isfinite(model(mx.zeros((1, 5), mx.int32))).all())
    for module in model.modules():
        if (shared := getattr(module, "shared", None)) is not None:
            shared.dissolve_unless_used()  # as it would be, were anything of a step in it
            assert module.shared is shared


@needs_compiler
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_compiled_step_with_bad_numbers_changes_nothing(compiling: None, value: float) -> None:
    """Parameters and optimizer state stay bit for bit; afterwards steps are made again."""
    model = build(run={"lora_targets": "q_proj"})
    loss, optimizer = make_loss(model), make_optimizer(RUN)

    def spoilt(model: nn.Module, tokens: mx.array, *rest: mx.array) -> mx.array:
        return loss(model, tokens, *rest) * mx.where(tokens[0] == 319, value, 1.0)

    step, good = StepFunction(model, optimizer, spoilt, 1.0), SHAPES[0]
    tokens = good.tokens.copy()
    tokens[0] = 319
    assert step([good], 1e-3).applied
    before = weights(model), {name: np.array(array) for name, array in tree_flatten(optimizer.state)}
    result = step([good, replace(good, tokens=tokens)], 1e-2)
    assert not result.applied and not math.isfinite(result.loss)
    for name, array in tree_flatten(optimizer.state):
        assert np.array_equal(np.array(array), before[1][name]), name
    for name, array in weights(model).items():
        assert np.array_equal(array, before[0][name]), name
    assert step([good], 1e-3).applied
    assert int(optimizer.state["step"]) == 2
