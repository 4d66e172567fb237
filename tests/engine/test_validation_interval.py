"""How often a run is validated that leaves it open: at most for a tenth of its time."""

from itertools import product
from pathlib import Path

from engine.analysis.validations import validations_of
from engine.config import TrainingConfig
from engine.errors import UserError
from engine.estimate import VALIDATION_COST, planned_steps, validation_interval
from engine.training.events import Paused, StepDone
from engine.training.history import load_history
from engine.training.state import RunState
from tests.support.tiny import RUN, tiny_project, train

import pytest

CONFIGS = [
    TrainingConfig(num_epochs=epochs, gradient_accumulation=accumulation, max_steps=most)
    for epochs, accumulation, most in product((1, 3, 40), (1, 2, 16), (0, 7, 500))
]


def validated(config: TrainingConfig, examples: int, interval: int) -> list[int]:
    """Return the steps that are validated, going through them one by one."""
    steps, epoch = planned_steps(config, examples), -(-examples // config.examples_per_step)
    return [
        step
        for step in range(1, steps + 1)
        if step % epoch == 0 or step == steps or (interval and step % interval == 0)
    ]


def share(config: TrainingConfig, examples: int, held_out: int, interval: int) -> float:
    """Return what part of a run's time goes to validations, the one before the first step among them."""
    steps, epoch = planned_steps(config, examples), -(-examples // config.examples_per_step)
    whole, rest = divmod(steps, epoch)
    trained = whole * examples + rest * config.examples_per_step
    scored = (1 + len(validated(config, examples, interval))) * held_out * VALIDATION_COST
    return scored / (scored + trained)


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_validations_take_a_tenth_of_the_time_at_most(config: TrainingConfig) -> None:
    """Unless those at the ends of epochs alone take more; then there are no others."""
    open_to_more = 0
    for examples, held_out in product((10, 95, 850, 5_000), (1, 10, 95, 2_000)):
        interval = validation_interval(config, examples, held_out)
        assert interval == 0 or interval >= 50
        if interval:
            open_to_more += 1
            assert share(config, examples, held_out, interval) <= 0.1
        elif share(config, examples, held_out, 0) < 0.1:  # one more would be too many
            steps = planned_steps(config, examples)
            more = validated(config, examples, 0), validated(config, examples, -(-steps // 2))
            assert len(more[0]) == len(more[1]) or share(config, examples, held_out, -(-steps // 2)) > 0.1
    assert open_to_more


def test_the_sample() -> None:
    """Of 850 rows and 95: the default's three epochs have room for three validations within them."""
    config = TrainingConfig()
    assert validation_interval(config, 850, 95) == 160
    assert validated(config, 850, 160) == [160, 213, 320, 426, 480, 639]
    assert share(config, 850, 95, 50) > 0.18 > 0.1 > share(config, 850, 95, 160)


@pytest.mark.parametrize("every", [0, 1, 50, 10**9])
def test_what_somebody_asked_for_is_done(every: int) -> None:
    """Whatever it costs."""
    assert validation_interval(TrainingConfig(eval_every=every), 850, 95) == every


def test_nothing_is_divided_by_no_rows() -> None:
    """As before the files are read."""
    assert validation_interval(TrainingConfig(), 0, 0) == validation_interval(TrainingConfig(), 10, 0) == 0


@pytest.mark.parametrize("value", ["auto", "0", "12", 7])
def test_it_is_set_as_a_number_or_a_word(value: object) -> None:
    """Typed or in a file."""
    config = TrainingConfig().updated({"eval_every": value})
    assert str(config.eval_every) == str(value)
    assert TrainingConfig.parse(config.model_dump(mode="json")) == config


@pytest.mark.parametrize("value", ["-1", "often", "1.5", "1,000", "1000000001", ""])
def test_what_is_neither_is_refused(value: str) -> None:
    """With both in the sentence."""
    with pytest.raises(UserError) as refused:
        TrainingConfig().updated({"eval_every": value})
    assert "'eval_every'" in refused.value.problem
    assert "auto: as often as" in refused.value.fix


def test_a_run_follows_it_also_after_a_pause(tmp_path: Path) -> None:
    """Its state tells the interval to those who read its files; a failed validation is found by it."""
    project = tiny_project(tmp_path, train=220, valid=2)
    config = RUN.updated({"eval_every": "auto", "save_every": 0})
    interval = validation_interval(config, 220, 2)
    expected = validated(config, 220, interval)
    assert 50 <= interval < expected[-1] and expected != validated(config, 220, 0)

    first = train(
        project,
        config,
        until=lambda event: isinstance(event, StepDone) and event.metrics.step == interval - 5,
    )
    assert isinstance(first[-1], Paused)
    train(project, config)
    history, state = load_history(project), RunState.load(project.state_file)
    assert state and state.eval_every == interval == state.validates_every(config)
    assert validations_of(history, config, state).steps.tolist() == expected
