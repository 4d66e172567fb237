"""The figures of a run, its verdict and its report, against numbers worked out by hand."""

import json
import re
from pathlib import Path
from typing import Any

from engine.analysis.facts import RunSummary
from engine.analysis.overfitting import judge_overfitting
from engine.analysis.report import as_dict, format_report
from engine.analysis.summary import summarise
from engine.analysis.verdict import Verdict, judge, live_advice
from engine.config import TrainingConfig
from engine.errors import UserError
from engine.project import Project
from engine.training.history import load_history
from engine.training.lock import run_lock
from engine.training.state import Status
from engine.units import duration, rate, size
from tests.support.run_files import line, write_checkpoint, write_lines, write_run

import pytest

# Twenty steps: ten of 4.0, then ten of 2.0; two epochs of ten steps.
LOSSES = [4.0] * 10 + [2.0] * 10


def verdict_of(project: Project) -> tuple[RunSummary, Verdict]:
    summary = summarise(project)
    return summary, judge(summary)


def advice_of(project: Project) -> dict[str, str]:
    return {advice.kind: advice.command for advice in judge(summarise(project)).advice}


@pytest.mark.parametrize(
    ("status", "started", "updated", "seconds"),
    [
        ("finished", "09:59:00", "10:01:10", 110.0),
        ("paused", "09:59:00", "10:01:10", 110.0),
        ("failed", "09:59:00", "10:01:10", 40.0),  # which another process may have written much later
        ("paused", "10:00:30", "10:01:10", 40.0),  # by a session that made no step
        ("finished", "09:59:00", "09:59:30", 40.0),  # by a clock that was set meanwhile
    ],
)
def test_the_time_of_a_run_ends_with_its_session(
    tmp_path: Path, status: Status, started: str, updated: str, seconds: float
) -> None:
    """The last step ended at 10:00:00, after 40 s; validating and answering after it took 70 s."""
    project = write_run(tmp_path, LOSSES, status=status)
    moment = "2026-01-01T{}+00:00".format
    write_lines(project, "".join(line(n, loss, time=moment("10:00:00")) for n, loss in enumerate(LOSSES, 1)))
    state = json.loads(project.state_file.read_text())
    project.state_file.write_text(
        json.dumps(state | {"started": moment(started), "updated": moment(updated)})
    )
    assert summarise(project).duration_s == seconds


def test_figures_are_those_worked_out_by_hand(tmp_path: Path) -> None:
    """First and last loss, improvement, gap, best step and what came after it."""
    project = write_run(tmp_path, LOSSES, {5: 3.0, 10: 2.0, 20: 2.1}, initial_val_loss=4.5)
    summary = summarise(project)
    assert (summary.first_loss, summary.last_loss) == (4.0, 2.0)
    assert summary.improvement_percent == 50.0
    assert (summary.best_val_loss, summary.best_step) == (2.0, 10)
    assert (summary.last_val_loss, summary.last_val_step) == (2.1, 20)
    assert summary.gap == pytest.approx(0.1)
    assert (summary.wasted_steps, summary.wasted_s) == (10, 20.0)
    assert summary.duration_s == 40.0
    assert summary.epoch_losses == ((0, 4.0), (1, 2.0))
    assert (summary.tokens, summary.tokens_per_epoch, summary.tokens_per_second) == (2000, 1000, 50.0)
    assert (summary.peak_memory_gb, summary.status) == (2.0, "finished")


def test_tokens_of_an_epoch_come_from_whole_epochs_only(tmp_path: Path) -> None:
    """15 steps of 100 tokens are one whole epoch of 10 steps; 9 steps are none."""
    assert summarise(write_run(tmp_path / "a", [3.0] * 15)).tokens_per_epoch == 1000
    assert summarise(write_run(tmp_path / "b", [3.0] * 9)).tokens_per_epoch is None


def test_short_runs_compare_their_halves(tmp_path: Path) -> None:
    """Of four steps the first and the last two are averaged; a skipped one does not count."""
    summary = summarise(write_run(tmp_path, [4.0, 3.0, None, 2.0, 1.0]))
    assert (summary.first_loss, summary.last_loss) == (3.5, 1.5)
    assert summary.skipped_steps == 1


def test_checkpoints_are_listed_by_step_with_their_size(tmp_path: Path) -> None:
    """Folders of other names, such as one half written, are none; nor is one without an adapter."""
    project = write_run(tmp_path, LOSSES)
    for name, length in (
        ("checkpoint_epoch1_step20", 30),
        ("checkpoint_epoch0_step5", 7),
        ("checkpoint_epoch1_step9.tmp", 1),
    ):
        (project.run_dir / name).mkdir()
        (project.run_dir / name / "adapters.safetensors").write_bytes(b"x" * length)
    (project.run_dir / "checkpoint_epoch1_step15").mkdir()
    found = summarise(project).checkpoints
    assert [(c.epoch, c.step, c.bytes) for c in found] == [(0, 5, 7), (1, 20, 30)]


def test_no_run_is_refused_with_the_way_to_start_one(tmp_path: Path) -> None:
    """The refusal names the folder and the command."""
    with pytest.raises(UserError, match=r"No run in .*checkpoints_qlora; start one with: mqlora-tui train"):
        summarise(Project(tmp_path))


def test_a_run_without_a_step_has_a_report(tmp_path: Path) -> None:
    """A run that has only just started is described, not refused."""
    summary, verdict = verdict_of(write_run(tmp_path, [], status="running"))
    assert summary.first_loss is None
    assert verdict.headline == "The run has not made a step yet."
    assert "not made a step" in format_report(summary, verdict)


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


def test_a_run_whose_process_holds_the_lock_is_running(tmp_path: Path) -> None:
    """What tells it from one that was cut off is the lock alone."""
    project = write_run(tmp_path, LOSSES, status="running")
    with run_lock(project):
        assert judge(summarise(project)).headline == "Running, step 20 of 20."
        assert advice_of(project) == {}
    assert judge(summarise(project)).headline.startswith("Cut off at step 20 of 20: the process ended")


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


def test_the_report_fits_and_its_commands_can_be_pasted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """78 columns, the verdict first, figures, and commands whole after joining continued lines."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    project = write_run(tmp_path, LOSSES, {15: 2.0, 20: 2.01}, initial_val_loss=4.5, model="my model")
    project.adapters_dir.mkdir()
    (project.adapters_dir / "adapters.safetensors").write_bytes(b"x")
    text = format_report(*verdict_of(project))
    assert max(len(row) for row in text.splitlines()) <= 78
    assert text.splitlines()[0].startswith(" ✓ Healthy run. Best at step 15 of 20")
    assert "training loss 4.00 → 2.00 (-50 %)" in text
    assert "validation 4.50 before training, then 2.00 at best, 2.01 at the end" in text
    assert "gap +0.01, no overfitting" in text
    joined = re.sub(r"\\\n\s+", "", text)
    adapter = "--adapter-path checkpoints_qlora/adapters"
    assert f"mlx_lm.generate --model 'models/my model' {adapter} --prompt 'Your question'" in joined
    assert "mqlora-tui export --to=ollama\n" in joined


def test_the_report_is_json_without_nan(tmp_path: Path) -> None:
    """What `--json` prints is strict JSON with the verdict inside."""
    summary, verdict = verdict_of(write_run(tmp_path, [4.0, None], {2: 3.0}))
    values = json.loads(json.dumps(as_dict(summary, verdict), allow_nan=False))
    assert values["best_step"] == 2
    assert values["verdict"]["headline"] == verdict.headline
    assert values["config"]["num_epochs"] == 1


def test_a_run_without_its_configuration_is_still_described(tmp_path: Path) -> None:
    """Metrics alone are enough for a report."""
    project = Project(tmp_path)
    write_lines(project, line(1, 4.0) + line(2, 3.0))
    summary, verdict = verdict_of(project)
    assert summary.config is None
    assert "Cut off at step 2" in format_report(summary, verdict)


def test_words_for_durations_sizes_and_rates() -> None:
    """Units change where people change them."""
    assert [duration(s) for s in (8.4, 59.6, 2460, 7800, 7200, 200000)] == [
        "8 s",
        "1 min",
        "41 min",
        "2 h 10 min",
        "2 h",
        "2 d 8 h",
    ]
    shown = [size(n) for n in (7, 21_000, 999_990, 730_800_000, 999_600_000, 17_179_869_184)]
    assert shown == ["7 B", "21.0 kB", "1.0 MB", "731 MB", "1.0 GB", "17.2 GB"]
    assert [rate(value) for value in (3e-4, 1e-4, 2.5e-4, 0.1)] == ["3e-4", "1e-4", "2.5e-4", "1e-1"]


def test_the_configuration_is_the_runs_own(tmp_path: Path) -> None:
    """Choosing values for the next run does not change what is said about this one."""
    project = write_run(tmp_path, LOSSES, config={"learning_rate": 1e-4})
    folder = project.run_dir / "checkpoint_epoch1_step20"
    folder.mkdir()
    config = TrainingConfig.load(project.config_file)
    (folder / "state.json").write_text(json.dumps({"config": config.model_dump(mode="json")}))
    TrainingConfig(learning_rate=3e-4, num_epochs=9).save(project.config_file)
    assert summarise(project).config == config
    (folder / "state.json").write_text("{torn")
    assert summarise(project).config == TrainingConfig.load(project.config_file)


def test_nothing_is_known_by_heart_before_it_was_seen_twice(tmp_path: Path) -> None:
    """A gap in the first epoch tells that the two files differ; after it, that examples are known."""
    losses = [3.0] * 5 + [1.0] * 15
    first = summarise(write_run(tmp_path / "first", losses, {20: 1.8}, steps_per_epoch=20))
    second = summarise(write_run(tmp_path / "second", losses, {20: 1.8}, steps_per_epoch=10))
    assert first.gap == second.gap and first.gap is not None and first.gap > 0.5
    assert (first.overfitting, second.overfitting) == ("none", "significant")
