"""How a run's steps are computed: by the setting, by what was measured, by the memory there is."""

import json
from collections.abc import Callable
from pathlib import Path

from engine.backend import nn
from engine.config import TrainingConfig
from engine.dataset.batches.cut import BatchShape
from engine.memory.predict import MemoryBudget
from engine.model.frozen_linear import matrix_key
from engine.model.matmul_timings import MATMUL_MODES, MatmulMode, Seconds
from engine.model.replace_layers import packed_layers
from engine.training import execution_plan as plan_module
from engine.training.execution_plan import Plan, make_plan, needed_bytes
from engine.training.notices import recomputing
from tests.support.architectures import SIZES, build
from tests.support.tiny import RUN

import pytest

LAYERS = 8
WIDE, TALL = "64x128 4-bit/64 affine", "128x64 4-bit/64 affine"
"""The feed-forward block's second matrix, and its first two."""
SHAPE = BatchShape.full(2, 32, 1)
AUTO = RUN.updated({"frozen_weights": "auto", "gradient_checkpointing": "off"})
SLOW: Seconds = {"packed": 2.0, "transient": 1.0, "resident": 3.0}
FAST: Seconds = {"packed": 3.0, "transient": 2.0, "resident": 1.0}

Planner = Callable[..., tuple[Plan, str]]


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return build(num_hidden_layers=LAYERS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    sizes = SIZES | {"num_hidden_layers": LAYERS, "quantization": {"group_size": 64, "bits": 4}}
    (tmp_path / "config.json").write_text(json.dumps(sizes))
    return tmp_path


@pytest.fixture
def planned(model: nn.Module, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Planner:
    """Make a plan with faked measurements and an exact number of bytes."""
    monkeypatch.setattr(plan_module, "USABLE", 1.0)

    def plan(
        budget: int, times: dict[str, Seconds] | None = None, config: TrainingConfig = AUTO, divisor: int = 1
    ) -> tuple[Plan, str]:
        known = dict.fromkeys(kinds(model), SLOW) | (times or {})
        monkeypatch.setattr(
            plan_module, "calibrate", lambda layers, rows, dtype: {k: known[k] for k in layers}
        )
        return make_plan(model, folder, config, SHAPE, MemoryBudget("cpu", budget, budget), divisor, False)

    return plan


def kinds(model: nn.Module) -> set[str]:
    return {matrix_key(layer) for layer in packed_layers(model)}


def extra(model: nn.Module, key: str) -> int:
    """Return the bytes that residence costs for all matrices of a kind: float32 less what was packed."""
    layers = [layer for layer in packed_layers(model) if matrix_key(layer) == key]
    packed = sum(int(layer[name].nbytes) for layer in layers for name in ("weight", "scales", "biases"))
    return len(layers) * 64 * 128 * 4 - packed


@pytest.fixture
def needed(model: nn.Module, folder: Path) -> int:
    """Bytes of a run with packed weights."""
    found = needed_bytes(model, folder, AUTO, SHAPE, Plan({}, 0))
    assert found is not None
    return found


@pytest.mark.parametrize("mode", MATMUL_MODES)
@pytest.mark.parametrize("budget", [0, 10**12])
def test_a_setting_that_names_a_mode_is_followed(
    model: nn.Module, planned: Planner, mode: MatmulMode, budget: int
) -> None:
    """For every kind of matrix, whatever memory there is and whatever was measured."""
    plan, reason = planned(budget, config=AUTO.updated({"frozen_weights": mode}))
    assert plan.matmul_modes == dict.fromkeys(kinds(model), mode)
    assert reason == ""


def test_with_room_for_all_the_fastest_mode_is_taken(model: nn.Module, planned: Planner) -> None:
    """Each kind by its own times."""
    packed: Seconds = {"packed": 1.0, "transient": 2.0, "resident": 1.5}
    plan, reason = planned(10**12, dict.fromkeys(kinds(model), FAST) | {WIDE: packed, TALL: SLOW})
    assert plan.matmul_modes == dict.fromkeys(kinds(model), "resident") | {WIDE: "packed", TALL: "transient"}
    assert "resident" in reason and "transient" in reason


def test_a_mode_that_was_not_tried_is_not_taken(model: nn.Module, planned: Planner) -> None:
    """On CUDA packed products of many rows are not measured."""
    times: Seconds = {"transient": 2.0, "resident": 1.0}
    assert set(planned(10**12, dict.fromkeys(kinds(model), times))[0].matmul_modes.values()) == {"resident"}
    assert set(planned(0, dict.fromkeys(kinds(model), times))[0].matmul_modes.values()) == {"transient"}


def test_little_room_goes_to_what_gains_most_a_byte(model: nn.Module, planned: Planner, needed: int) -> None:
    """There are twice as many of the tall matrices, so they gain more in all, but less a byte."""
    wide, tall = extra(model, WIDE), extra(model, TALL)
    assert tall == 2 * wide
    times = {WIDE: {**FAST, "resident": 0.5}, TALL: FAST}

    def resident(budget: int) -> set[str]:
        return {
            key for key, mode in planned(needed + budget, times)[0].matmul_modes.items() if mode == "resident"
        }

    assert resident(wide + tall) == {WIDE, TALL}
    assert resident(wide + tall - 1) == {WIDE}
    assert resident(wide) == {WIDE}
    assert resident(wide - 1) == set()
    assert resident(-needed) == set()


def test_after_memory_ran_out_nothing_is_written_out(model: nn.Module, planned: Planner) -> None:
    """With fewer tokens in a micro-batch than usual, the faster of the other modes is taken."""
    plan, _reason = planned(10**12, dict.fromkeys(kinds(model), FAST), divisor=2)
    assert plan.matmul_modes == dict.fromkeys(kinds(model), "transient")
    assert plan.micro_batch_divisor == 2


@pytest.mark.parametrize("count", [0, 3, 7, 8])
def test_no_more_layers_are_recomputed_than_must_be(
    model: nn.Module, folder: Path, planned: Planner, count: int
) -> None:
    """A byte less than some number of layers takes asks for one more; "off" never does."""
    config = AUTO.updated({"gradient_checkpointing": "auto"})
    budget = needed_bytes(model, folder, config, SHAPE, Plan({}, count))
    assert budget is not None
    assert planned(budget, config=config)[0].recomputed_layers == count
    assert planned(budget - 1, config=config)[0].recomputed_layers == min(count + 1, LAYERS) or count == 0
    assert planned(0)[0].recomputed_layers == 0


def test_recomputing_comes_before_writing_out(model: nn.Module, planned: Planner, needed: int) -> None:
    """No memory is spent on speed where activations do not fit."""
    config = AUTO.updated({"gradient_checkpointing": "auto"})
    plan, _reason = planned(needed - 1, dict.fromkeys(kinds(model), FAST), config)
    assert plan.recomputed_layers > 0


def test_a_plan_counts_what_it_writes_out(model: nn.Module, folder: Path, needed: int) -> None:
    """The predicted peak grows by the bytes of the kinds that are resident."""
    plan = Plan({WIDE: "resident", TALL: "transient"}, 0)
    assert needed_bytes(model, folder, AUTO, SHAPE, plan) == needed + extra(model, WIDE)
    head = Plan({"320x64 4-bit/64 affine": "resident"}, 0)  # the embedding, which stays packed for its rows
    assert needed_bytes(model, folder, AUTO, SHAPE, head) == needed + 320 * 64 * 4


def test_a_plan_is_the_same_after_it_was_written_and_read() -> None:
    """As JSON in a checkpoint; anything else is refused."""
    plan = Plan({WIDE: "resident", TALL: "packed"}, 3, 2)
    assert Plan.parse(json.loads(json.dumps(plan.as_dict()))) == plan
    for broken in (
        3,
        {},
        {"ways": {WIDE: "quickly"}, "recomputed_layers": 0},
        {"ways": {}, "recomputed_layers": "x"},
    ):
        with pytest.raises(ValueError):
            Plan.parse(broken)


def test_a_model_of_an_unknown_kind_gets_a_plan_too(model: nn.Module, folder: Path, planned: Planner) -> None:
    """Its need is not known: half of the room is left to it, and layers are recomputed on request alone."""
    (folder / "config.json").write_text("{}")
    assert needed_bytes(model, folder, AUTO, SHAPE, Plan({}, 0)) is None
    times = {WIDE: FAST}
    assert planned(2 * extra(model, WIDE), times)[0].matmul_modes[WIDE] == "resident"
    assert planned(2 * extra(model, WIDE) - 2, times)[0].matmul_modes[WIDE] == "transient"
    for setting, count in (("auto", 0), ("on", LAYERS)):
        config = AUTO.updated({"gradient_checkpointing": setting})
        assert planned(10, config=config)[0].recomputed_layers == count


def test_smaller_micro_batches_are_named_where_layers_are_recomputed() -> None:
    """With the options that make the same steps, unless there are none or a pass would have few tokens."""
    config = RUN.updated({"batch_size": 8, "gradient_accumulation": 3, "gradient_checkpointing": "auto"})
    large, small, single = (BatchShape.full(*of, 1) for of in ((8, 512), (8, 64), (1, 4096)))

    def told(shape: BatchShape, **changes: object) -> str:
        return recomputing(5, 8, config.updated(changes), shape).partition("(gradient checkpointing)")[2]

    assert told(large).endswith(": --set batch_size=4 --set gradient_accumulation=6")
    assert not told(small) and not told(single)
    assert not told(large, gradient_checkpointing="on")
    assert not told(large, batch_size=7) and not told(large, gradient_accumulation=1024)
