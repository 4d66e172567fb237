"""What is said of a run that learned, stood still, overfitted, failed or was not finished, and what to do."""

from pathlib import Path
from typing import Any

from engine.analysis.overfitting import judge_overfitting
from engine.analysis.report import as_dict
from engine.analysis.summary import summarise
from engine.analysis.verdict import judge, live_advice
from engine.training.history import load_history
from engine.training.lock import run_lock
from tests.support.run_files import LOSSES, advice_of, verdict_of, write_checkpoint, write_run

import pytest


@pytest.mark.parametrize(
    ("train", "best", "last", "expected"),
    [
        (2.0, 2.1, 2.19, "slight"),  # gap 0.19 is fine, but a rise of 4 % is not
        (2.0, 2.19, 2.19, "none"),
        (2.0, 2.3, 2.3, "slight"),
        (2.0, 2.51, 2.51, "significant"),
        (2.0, 1.8, 2.0, "significant"),  # a rise of 11 %
        (2.0, 1.0, 1.0, "none"),
        (None, 1.0, 1.0, "unknown"),
        (2.0, None, None, "unknown"),
    ],
)
def test_overfitting_follows_the_gap_and_the_rise(
    train: float | None, best: float | None, last: float | None, expected: str
) -> None:
    """Gap below 0.2 fine, above 0.5 significant; rise above 2 % slight, above 10 % significant."""
    assert judge_overfitting(train, best, last) == expected


def test_a_healthy_run_says_when_it_was_best(tmp_path: Path) -> None:
    """The first sentence names the best step and the time spent after it."""
    _summary, verdict = verdict_of(write_run(tmp_path, LOSSES, {15: 2.0, 20: 2.01}))
    assert verdict.level == "ok"
    assert verdict.headline == "Healthy run. Best at step 15 of 20; later steps gained nothing (10 s)."


def test_overfitting_names_the_epochs_that_are_enough(tmp_path: Path) -> None:
    """Best in the second of four epochs: the command trains two."""
    losses = [4.0] * 10 + [2.0] * 10 + [1.0] * 20
    project = write_run(tmp_path, losses, {10: 3.0, 20: 2.0, 30: 2.4, 40: 2.9})
    _summary, verdict = verdict_of(project)
    assert verdict.level == "attention"
    assert verdict.headline.startswith("Overfitted at the end. Best at step 20 of 40")
    assert advice_of(project)["overfitting"] == "mqlora-tui train --restart --set num_epochs=2"


@pytest.mark.parametrize(
    ("now", "command"),
    [
        (1e-4, "mqlora-tui train --restart --set learning_rate=2e-4"),
        (2e-4, "mqlora-tui train --restart --set learning_rate=3e-4"),
        (2.5e-4, "mqlora-tui train --restart --set learning_rate=3e-4"),
        (5e-4, "mqlora-tui validate"),
    ],
)
def test_a_flat_loss_asks_for_the_next_learning_rate(tmp_path: Path, now: float, command: str) -> None:
    """The advice starts from the configuration of the run and ends where rates get unstable."""
    project = write_run(tmp_path, [4.0, 3.99] * 30, config={"learning_rate": now})
    assert advice_of(project)["loss_flat"] == command
    assert judge(summarise(project)).level == "wrong"


def test_a_rising_loss_asks_for_a_lower_learning_rate(tmp_path: Path) -> None:
    """A run that got worse by more than 5 % needs smaller steps."""
    project = write_run(tmp_path, [2.0] * 30 + [3.0] * 30, config={"learning_rate": 3e-4})
    assert advice_of(project)["loss_flat"] == "mqlora-tui train --restart --set learning_rate=2e-4"


def test_a_run_still_falling_at_its_end_asks_for_more_epochs(tmp_path: Path) -> None:
    """Best at the last step and falling: three epochs become four."""
    losses = [4.0 - 0.1 * step for step in range(30)]
    project = write_run(tmp_path, losses, {10: 3.2, 20: 2.3, 30: 1.5})
    assert advice_of(project)["underfitting"] == "mqlora-tui train --restart --set num_epochs=4"


def test_validation_that_never_got_better_is_wrong(tmp_path: Path) -> None:
    """The loss before the first step was the best one."""
    _summary, verdict = verdict_of(write_run(tmp_path, LOSSES, {20: 2.2}, initial_val_loss=2.0))
    assert verdict.level == "wrong"
    assert "validation was never better than before it, 2.00" in verdict.headline


@pytest.mark.parametrize(
    ("state", "start", "kinds"),
    [
        ({"status": "paused"}, "Paused at step 20 of 20.", {"resume"}),
        (
            {"status": "failed", "reason": "no space\x1b[31m"},
            "The run failed at step 20: no space\\x1b",
            {"resume"},
        ),
        ({"status": "running"}, "Cut off at step 20 of 20: the process ended", {"resume"}),
    ],
)
def test_an_unfinished_run_says_so_and_how_to_go_on(
    tmp_path: Path, state: dict[str, Any], start: str, kinds: set[str]
) -> None:
    """A process that is gone was cut off; control codes in the reason stay harmless."""
    project = write_run(tmp_path, LOSSES, {20: 2.0}, **state)
    assert judge(summarise(project)).headline.startswith(start)
    assert set(advice_of(project)) == kinds


@pytest.mark.parametrize(
    ("values", "text", "command"),
    [
        ({}, "goes on where its last checkpoint is", "train --resume"),
        ({"format": 3}, "cannot go on with this version", "train --restart"),
        ({"sampler": "new"}, "cannot go on with this version", "train --restart"),
        ({"step": 19}, "every checkpoint is damaged", "train --restart"),
        (None, "no checkpoint to go on from", "train"),
    ],
)
def test_a_run_is_told_to_go_on_only_where_it_can(
    tmp_path: Path, values: dict[str, Any] | None, text: str, command: str
) -> None:
    """What `train` would refuse is not advised."""
    project = write_run(tmp_path, LOSSES, {20: 2.0}, status="paused")
    if values is not None:
        write_checkpoint(project, 1, 20, values)
    (advice,) = (item for item in judge(summarise(project)).advice if item.kind == "resume")
    assert text in advice.text and advice.command == f"mqlora-tui {command}"


def test_the_reason_of_a_failure_has_commands_that_can_be_pasted(tmp_path: Path) -> None:
    """The state keeps them as they are: whoever shows them knows the project."""
    reason = "No space left; free some, then run: mqlora-tui train"
    values = as_dict(*verdict_of(write_run(tmp_path, LOSSES, status="failed", reason=reason)))
    assert f" -C {tmp_path} train" in values["reason"]


def test_a_process_near_the_memory_of_the_machine_gets_a_smaller_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half the batch and twice the accumulation are the same examples a step."""
    project = write_run(tmp_path, LOSSES, config={"batch_size": 4, "gradient_accumulation": 3})
    monkeypatch.setattr("engine.analysis.summary.machine_memory_gb", lambda state: 2.1)
    command = advice_of(project)["memory"]
    assert command == "mqlora-tui train --restart --set batch_size=2 --set gradient_accumulation=6"


def test_few_steps_and_skipped_steps_are_reported(tmp_path: Path) -> None:
    """A run of nine steps, one of which was not finite."""
    project = write_run(tmp_path, [4.0] * 8 + [None])
    assert {"few_steps", "non_finite", "no_validation"} <= set(advice_of(project))


def test_live_advice_is_silent_while_all_is_well(tmp_path: Path) -> None:
    """A falling loss and a fresh file need no word."""
    project = write_run(tmp_path, LOSSES, status="running")
    history = load_history(project)
    with run_lock(project):
        assert live_advice(summarise(project), history, 30.0) == ()


def test_live_advice_tells_a_stuck_run_and_a_rising_validation(tmp_path: Path) -> None:
    """No line for over a minute, and three validations each above the one before."""
    project = write_run(tmp_path, LOSSES, {5: 2.0, 10: 2.1, 15: 2.2, 20: 2.3}, status="running")
    history = load_history(project)
    with run_lock(project):
        found = live_advice(summarise(project), history, 300.0)
    assert {advice.kind for advice in found} == {"overfitting", "stalled"}
    assert any("step 5" in advice.text for advice in found)
    assert any("No new step for 5 min" in advice.text for advice in found)
