"""Which settings are tried, which of them go on, and what is read back of a tuning."""

import json
import math
from itertools import permutations

from engine.config import TrainingConfig
from engine.errors import UserError, WrongUsage
from engine.project import Project
from engine.tuning.plan import FIRST_SHARE, MOST, Candidate, candidates, steps_in_all, survivors
from engine.tuning.state import load_tuning, planned, save_tuning

import pytest

CHOSEN = TrainingConfig(learning_rate=2e-4, lora_rank=8, lora_alpha=16.0, num_epochs=3)


def values(*given: object, usual: float | None = 1e-3) -> list[dict[str, object]]:
    rates, ranks, epochs = (*given, (), (), ())[:3]
    return [dict(each.values) for each in candidates(CHOSEN, rates, ranks, epochs, usual)]  # type: ignore[arg-type]


def test_by_default_three_rates_around_the_rule_of_thumb_are_tried() -> None:
    """Beside the chosen settings, which come first; of a toy, unknown to the rule, around these."""
    assert values() == [{}, {"learning_rate": 3e-4}, {"learning_rate": 1e-3}, {"learning_rate": 3e-3}]
    assert values(usual=None) == [{}, {"learning_rate": 7e-5}, {"learning_rate": 6e-4}]
    assert values(usual=0.9) == [{}, {"learning_rate": 0.1}], "a run takes no more"


def test_what_is_named_is_tried_in_all_combinations() -> None:
    """But for what is chosen already; a rate all but the chosen one is not tried again."""
    assert values((2.1e-4, 1e-3)) == [{}, {"learning_rate": 1e-3}]
    assert values((), (8, 16)) == [{}, {"lora_rank": 16}]
    assert values((1e-3,), (8, 16)) == [{}, {"learning_rate": 1e-3}, {"learning_rate": 1e-3, "lora_rank": 16}]
    assert values((), (), (1, 3, 5)) == [{}, {"num_epochs": 1}, {"num_epochs": 5}]


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (((2e-4,),), WrongUsage),
        ((tuple(10.0**-power for power in range(1, 8)), (4, 16)), WrongUsage),
        (((5.0,),), UserError),
        (((), (0,)), UserError),
    ],
    ids=["nothing new", "too many", "a rate out of range", "a rank out of range"],
)
def test_what_cannot_be_tried_is_refused(given: tuple[object, ...], error: type[UserError]) -> None:
    """Before anything is trained."""
    with pytest.raises(error):
        values(*given)


def test_another_rank_keeps_the_strength_of_the_adapter() -> None:
    """Alpha / rank multiplies what the adapter adds."""
    config = Candidate({"lora_rank": 32}).config(CHOSEN)
    assert (config.lora_rank, config.lora_alpha) == (32, 64.0)
    assert config.updated({"lora_rank": 8, "lora_alpha": 16.0}) == CHOSEN


def test_the_better_half_goes_on_with_the_chosen_settings() -> None:
    """Compared with a sort of all orders; what broke comes last."""
    for count in range(2, 6):
        for order in permutations(range(count)):
            losses = [float(place) for place in order]
            best = {losses.index(float(rank)) for rank in range(math.ceil(count / 2))}
            assert survivors(losses) == sorted(best | {0})
    assert survivors([None, 1.0, None, 2.0]) == [0, 1, 3]
    assert survivors([None, None]) == [0]


def test_the_price_is_of_the_worst_case() -> None:
    """Whatever half turns out the better one."""
    for steps in ([30, 30, 30, 30], [30, 90, 60], [9, 12]):
        most = sum(steps_in_all(steps))
        for order in permutations(range(len(steps))):
            left = survivors([float(place) for place in order])
            first = [math.ceil(FIRST_SHARE * each) for each in steps]
            made = sum(steps[place] if place in left else first[place] for place in range(len(steps)))
            assert made <= most


def test_a_tuning_is_read_back_and_distrusted(project: Project) -> None:
    """What could lead out of the archive, is damaged, too much, or of another version is refused."""
    tried = candidates(CHOSEN, (1e-3, 1e-2), (), (), None)
    tuning = planned(project, "key", tried, CHOSEN)
    assert [run.folder for run in tuning.runs] == [
        "tune learning_rate 0.0002", "tune learning_rate 0.001", "tune learning_rate 0.01"
    ]  # fmt: skip
    assert load_tuning(project) is None
    project.make_run_dir()
    save_tuning(project, tuning)
    assert load_tuning(project) == tuning and tuning.candidates == tried and tuning.chosen == CHOSEN
    project.archive_dir.mkdir()
    (project.archive_dir / "tune learning_rate 0.001").mkdir()
    assert planned(project, "key", tried, CHOSEN).runs[1].folder == "tune learning_rate 0.001 (2)"
    good = json.loads(project.tuning_file.read_text())
    run = good["runs"][0]
    for damaged in (
        "{",
        "[" * 100_000,
        json.dumps(good | {"format": 2}),
        json.dumps(good | {"runs": [run | {"folder": "tune ../../x"}] * 2}),
        json.dumps(good | {"runs": [run | {"folder": "../x"}] * 2}),
        json.dumps(good | {"runs": [run | {"values": {"seed": "\x1b"}}] * 2}),
        json.dumps(good | {"runs": [run] * (MOST + 1)}),
        json.dumps(good | {"more": 1}),
    ):
        project.tuning_file.write_text(damaged)
        with pytest.raises(UserError, match="Cannot go on with the tuning"):
            load_tuning(project)
