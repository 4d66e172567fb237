"""The figures of a run and its report, against numbers worked out by hand."""

import json
import re
from pathlib import Path

from engine.analysis.report import as_dict, format_report
from engine.analysis.summary import summarise
from engine.analysis.verdict import judge
from engine.config import TrainingConfig
from engine.errors import UserError
from engine.project import Project
from engine.training.lock import run_lock
from engine.training.state import Status
from engine.units import duration, rate, size
from tests.support.run_files import LOSSES, advice_of, line, verdict_of, write_lines, write_run

import pytest


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


def test_epochs_that_have_no_room_in_the_report_are_counted(tmp_path: Path) -> None:
    """The first and the last six stand there."""
    project = write_run(tmp_path, [4.0] * 30, steps_per_epoch=1)
    write_lines(project, "".join(line(step, 4.0, epoch=step - 1) for step in range(1, 31)))
    lines = [one.split()[:4] for one in format_report(*verdict_of(project)).splitlines()]
    at = lines.index(["…", "18", "epochs", "between"])
    assert lines[at - 1][:2] == ["epoch", "6"] and lines[at + 1][:2] == ["epoch", "25"]


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


def test_a_run_whose_process_holds_the_lock_is_running(tmp_path: Path) -> None:
    """What tells it from one that was cut off is the lock alone."""
    project = write_run(tmp_path, LOSSES, status="running")
    with run_lock(project):
        assert judge(summarise(project)).headline == "Running, step 20 of 20."
        assert advice_of(project) == {}
    assert judge(summarise(project)).headline.startswith("Cut off at step 20 of 20: the process ended")


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
