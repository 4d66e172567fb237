"""`prompt_loss_weight`: the weighted mean over tokens, its two ends as they ever were, its earlier name."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.backend import mx, nn
from engine.config import TrainingConfig
from engine.dataset.batches.bucket_plan import Limits, plan_shapes
from engine.dataset.batches.micro_batch import MicroBatch, micro_batches
from engine.dataset.batches.tokenize import Example
from engine.errors import UserError
from engine.model.replace_layers import make_fast
from engine.project import Project
from engine.training import loss as loss_module
from engine.training.events import Evaluated
from engine.training.loss import make_loss
from engine.training.step import StepFunction
from engine.training.update import make_optimizer
from tests.campaigns.common import outcome
from tests.support.moments import step_done
from tests.support.numpy_llama import slope, summed_loss
from tests.support.steps import GivesTheGradient, arrays, some_examples
from tests.support.tiny import CONFIG, RUN, lora_model, train

import numpy as np
import pytest
from mlx.utils import tree_flatten

WEIGHT = 0.3
EXAMPLES = some_examples(5)
WEIGHTED = RUN.updated({"prompt_loss_weight": WEIGHT, "num_epochs": 1})


def batches_of(examples: list[Example], weight: float, max_tokens: int = 60) -> list[MicroBatch]:
    shapes = plan_shapes(examples, [], len(examples), 0, Limits(max_tokens, 2), prompt_weight=weight)
    return micro_batches(examples, shapes, weight)


def all_tokens(example: Example) -> Example:
    return replace(example, trained=np.arange(len(example.tokens)) > 0)


def weighted(of_tokens: Any) -> float:
    """Return the weighted mean over the tokens of all examples, of something that sums over some tokens."""
    answers = [example.trained for example in EXAMPLES]
    prompts = [all_tokens(example).trained & ~example.trained for example in EXAMPLES]
    total = sum(
        of_tokens(e, a) + WEIGHT * of_tokens(e, p) for e, a, p in zip(EXAMPLES, answers, prompts, strict=True)
    )
    return float(total / (sum(a.sum() for a in answers) + WEIGHT * sum(p.sum() for p in prompts)))


@pytest.mark.parametrize("chunk", [2 * 320, 1 << 27])
@pytest.mark.parametrize("form", ["plain", "fast", "all logits"])
def test_loss_and_gradient_are_the_weighted_mean(
    form: str, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against float64, over several micro-batches: each token's loss times its weight, by their sum."""
    monkeypatch.setattr(loss_module, "LOGIT_CHUNK", chunk)
    model = lora_model()
    weights = arrays(model)
    if form == "fast":
        make_fast(model, {}, mx.float32)
    loss = loss_module.full_loss if form == "all logits" else make_loss(model)
    batches = batches_of(EXAMPLES, WEIGHT)
    assert len(batches) > 1
    model.train()
    result = StepFunction(model, GivesTheGradient(), loss, 0.0)(batches, 0.0)

    def sum_of(example: Example, which: Any) -> float:
        return summed_loss(weights, CONFIG, RUN.lora_scale, example.tokens, which)

    assert result.loss == pytest.approx(weighted(sum_of), rel=1e-6)
    for name, array in list(tree_flatten(model.trainable_parameters()))[::5]:
        found = np.array(array)
        entry = tuple(int(place) for place in np.unravel_index(np.abs(found).argmax(), found.shape))

        def slope_of(example: Example, which: Any, name: str = name, entry: Any = entry) -> float:
            return slope(weights, name, entry, CONFIG, RUN.lora_scale, example.tokens, which)

        assert float(found[entry]) == pytest.approx(weighted(slope_of), rel=1e-4), name


def step_of(model: nn.Module) -> StepFunction:
    return StepFunction(model, make_optimizer(RUN), make_loss(model), 1.0)


def test_processes_divide_by_the_weight_of_the_whole_step() -> None:
    """The sum of what two of them compute is what one computes of all."""
    batches = batches_of(EXAMPLES, WEIGHT)
    seen: list[mx.array] = []

    def sum_of(vector: mx.array) -> mx.array:
        seen.append(vector)
        return vector

    for share in (batches, batches[:1], batches[1:]):
        step = step_of(lora_model())
        step.sum_over = sum_of
        step.launch(share, 1e-3, batches)
    whole, first, second = (np.array(vector) for vector in seen)
    assert np.abs(first).max() > 0 and np.abs(second).max() > 0
    assert np.abs(whole - (first + second)).max() <= 1e-5 * np.abs(whole).max()


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_the_ends_take_the_path_without_weights(weight: float) -> None:
    """As before there was one, bit for bit and as fast."""
    config = RUN.updated({"prompt_loss_weight": weight})
    assert config.lower_prompt_weight == 0
    assert all(batch.weights is None for batch in batches_of(EXAMPLES, config.lower_prompt_weight))


def test_weights_that_are_all_one_change_no_number() -> None:
    """The other path gives the loss of the plain one."""
    everything = [all_tokens(example) for example in EXAMPLES]
    plain = step_of(lora_model())(batches_of(everything, 0.0), 1e-3)
    near = step_of(lora_model())(batches_of(EXAMPLES, 1.0 - 2**-24), 1e-3)
    assert near.loss == pytest.approx(plain.loss, rel=1e-6)
    assert near.grad_norm == pytest.approx(plain.grad_norm, rel=1e-5)


def test_it_acts_and_validation_counts_answers_alone(project: Project, tmp_path: Path) -> None:
    """The first validation is that of a run without a weight, the first step's loss is not."""
    runs = [train(project, WEIGHTED.updated({"prompt_loss_weight": w}), "restart") for w in (0.0, WEIGHT)]
    first, second = ([e.val_loss for e in events if isinstance(e, Evaluated)] for events in runs)
    assert first[0] == second[0] and first[1:] != second[1:]


@pytest.mark.parametrize("step", [2, 4])
def test_a_paused_run_ends_in_the_same_bytes(project: Project, tmp_path: Path, step: int) -> None:
    """With a weight as without."""
    train(project, WEIGHTED, "restart")
    whole = outcome(project)
    train(project, WEIGHTED, "restart", until=step_done(step))
    train(project, None, "resume")
    assert outcome(project) == whole


@pytest.mark.parametrize(
    ("values", "weight"),
    [
        ({"train_on_prompt": True}, 1),
        ({"train_on_prompt": False}, 0),
        ({"train_on_prompt": "yes"}, 1),
        ({"train_on_prompt": True, "prompt_loss_weight": 1}, 1),
        ({"train_on_prompt": "no", "prompt_loss_weight": "0"}, 0),
        ({"prompt_loss_weight": "0.25"}, 0.25),
    ],
)
def test_the_earlier_name_means_what_it_meant(tmp_path: Path, values: dict[str, Any], weight: float) -> None:
    """In a file, beside the present one that says the same, and over a configuration that says other."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps(values))
    assert TrainingConfig.load(path).prompt_loss_weight == weight
    assert TrainingConfig(prompt_loss_weight=0.5).updated(values).prompt_loss_weight == weight


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"train_on_prompt": True, "prompt_loss_weight": 0.5}, "contradict each other"),
        ({"train_on_prompt": False, "prompt_loss_weight": 1}, "contradict each other"),
        ({"train_on_prompt": "maybe"}, "yes or no"),
        ({"train_on_prompt": True, "prompt_loss_weight": "much"}, "'prompt_loss_weight'"),
    ],
)
def test_contradictions_are_refused(values: dict[str, Any], said: str) -> None:
    """Two names with different values, or a value that is none."""
    with pytest.raises(UserError, match=said):
        TrainingConfig.parse(values, "config.json")


def test_a_checkpoint_with_the_earlier_name_goes_on(project: Project) -> None:
    """Settings of an unfinished run, written before the weight was one."""
    config = RUN.updated({"train_on_prompt": True, "num_epochs": 1})
    train(project, config, "restart")
    whole = outcome(project)
    train(project, config, "restart", until=step_done(3))
    for path in (project.config_file, *project.run_dir.glob("checkpoint_*/state.json")):
        rename_setting(path)
    train(project, None, "resume")
    assert outcome(project) == whole


def rename_setting(path: Path) -> None:
    """Write a file's settings under their earlier name, sealed anew."""
    from engine.training.checksums import sealed

    values = json.loads(path.read_text())
    settings = values.get("config", values)
    settings["train_on_prompt"] = bool(settings.pop("prompt_loss_weight"))
    if "config" in values:
        values.pop("sha256", None)
        values = sealed(values)
    path.write_text(json.dumps(values))
