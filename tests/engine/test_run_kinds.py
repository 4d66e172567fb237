"""The judgement of runs of known kind, and the advice that follows from it."""

import re
import tempfile
from dataclasses import replace
from pathlib import Path

from engine.analysis.facts import RunSummary
from engine.analysis.outcome import Outcome, outcome_of
from engine.analysis.rate import rate_sign
from engine.analysis.remedies import BROKEN, Level
from engine.analysis.report import as_dict, format_report
from engine.analysis.summary import summarise
from engine.analysis.verdict import Verdict, judge, live_advice
from engine.project import Project
from engine.training.history import load_history
from engine.training.lock import run_lock
from tests.support.run_files import write_checkpoint, write_lines, write_run
from tests.support.run_kinds import EVERY, KINDS, Course, falling, validated, write_course, write_kind

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

LOWER = "mqlora-tui train --restart --set learning_rate=1e-4"
# Outcome, level, how the headline begins, and the advice with what follows "--restart".
EXPECTED: dict[str, tuple[Outcome, Level, str, dict[str, str]]] = {
    "healthy": ("healthy", "ok", "Healthy run. Best at its last step, 60.", {}),
    "still falling": (
        "still_falling",
        "attention",
        "Good, but not finished learning.",
        {"underfitting": "mqlora-tui train --restart --set num_epochs=4"},
    ),
    "overfitted": (
        "overfitted",
        "attention",
        "Overfitted at the end. Best at step 20 of 60",
        {"overfitting": "mqlora-tui train --restart --set num_epochs=1"},
    ),
    "learnt by heart": ("by_heart", "attention", "Learnt by heart: the gap to", {"overfitting": LOWER}),
    "last validations not finite": (
        "diverged",
        "wrong",
        "Diverged: the last 2 validations were not finite. adapters/ holds the best, of step 40.",
        {"diverged": LOWER, "non_finite": ""},
    ),
    "last steps not finite": (
        "diverged",
        "wrong",
        "Diverged: 5 of the last 10 steps had no finite loss or gradient.",
        {"diverged": LOWER, "non_finite": ""},
    ),
    "exploding end": (
        "diverged",
        "wrong",
        "Diverged: the loss was far too high in the last 2 steps, 15.00 at the end",
        {"diverged": LOWER},
    ),
    "one odd last step": (
        "odd_end",
        "attention",
        "The last step's loss of 15.00 is odd",
        {"odd_end": "mqlora-tui validate"},
    ),
    "odd last steps": (
        "odd_end",
        "attention",
        "The losses of the last 4 steps are odd (10.00 at the end, 1.5",
        {"odd_end": "mqlora-tui validate"},
    ),
    "blown up": ("diverged", "wrong", "Diverged: the loss rose from 1.49 to 34.50.", {"diverged": LOWER}),
    "worsened": (
        "worsened",
        "attention",
        "Worse at the end: validation rose by 0.68, and the training loss too.",
        {"worsened": LOWER},
    ),
    "rising again": ("diverged", "wrong", "Diverged: the loss rose from 1.47 to 2.37.", {"diverged": LOWER}),
    "three steps": ("too_short", "attention", "Too short to judge, with 3 steps.", {"few_steps": ""}),
    "never validated": (
        "not_validated",
        "attention",
        "Finished after 60 steps, never validated.",
        {"no_validation": "mqlora-tui validate"},
    ),
    "steps skipped": ("healthy", "ok", "Healthy run.", {"non_finite": LOWER}),
    "stopped early": (
        "healthy",
        "ok",
        "Healthy run. Best at step 40 of 60",
        {"overfitting": ""},
    ),
    "flat": (
        "flat",
        "wrong",
        "The loss did not fall: 3.00 at first",
        {"loss_flat": "mqlora-tui train --restart --set learning_rate=3e-4"},
    ),
    "helped nothing": ("no_gain", "wrong", "The training helped nothing", {"no_gain": LOWER}),
    "noisy": ("healthy", "ok", "Healthy run.", {}),
    "lines lost": ("healthy", "ok", "Healthy run.", {}),
    "one epoch": ("healthy", "ok", "Healthy run.", {}),
    "hard first rows": (
        "still_falling",
        "attention",
        "Good, but not finished learning.",
        {"underfitting": "mqlora-tui train --restart --set num_epochs=4"},
    ),
    "hard last rows": ("healthy", "ok", "Healthy run. Best at its last step, 60.", {}),
    "validation blown up": (
        "diverged",
        "wrong",
        "Diverged: validation rose from 1.30 to 50.00. adapters/ holds the best, of step 50.",
        {"diverged": LOWER},
    ),
    "flat and rising": ("flat", "wrong", "The loss did not fall: 3.0", {"loss_flat": LOWER}),
    "broken and never better": (
        "diverged",
        "wrong",
        "Diverged: 5 of the last 10 steps had no finite loss or gradient. "
        "The model was no worse without training: validation 3.10 before it, 3.20 at best.",
        {"diverged": LOWER, "non_finite": ""},
    ),
    "three steps and never better": (
        "too_short",
        "attention",
        "Too short to judge, with 3 steps. The model was no worse without training",
        {"few_steps": ""},
    ),
    "exploded soon": (
        "diverged",
        "wrong",
        "Diverged: the loss rose from 3.10 to 50.00. The model was no worse without training",
        {"diverged": LOWER},
    ),
    "exploded at once": (
        "diverged",
        "wrong",
        "Diverged: the loss rose from 3.10 to 10.6",
        {"diverged": LOWER},
    ),
    "all zero": (
        "zero_loss",
        "wrong",
        "There was nothing to learn: the loss was 0 in all 60 steps.",
        {"zero_loss": "mqlora-tui validate"},
    ),
    "huge": (
        "diverged",
        "wrong",
        "Diverged: the loss rose from 1.49 to 3.45e+31. adapters/ holds the best, of step 40.",
        {"diverged": LOWER},
    ),
    "beyond any number": (
        "no_steps",
        "attention",
        "None of the 60 lines of training_metrics.json can be read: nothing is known",
        {"unreadable": ""},
    ),
    "gap from the start": ("healthy", "ok", "Healthy run.", {}),
    "converged": ("healthy", "ok", "Healthy run. Best at its last step, 60.", {}),
    "noisy plateau": (
        "healthy",
        "ok",
        "Healthy run. Best at step 60 of 60, but step 20 was as good within noise; "
        "later steps gained nothing (1 min).",
        {"overfitting": ""},
    ),
    "too few rows": (
        "unproven",
        "attention",
        "No gain beyond chance: validation fell by 0.20 ± 1.38. Best at its last step, 60. "
        "Step 10 was as good within noise.",
        {"few_rows": "mqlora-tui validate"},
    ),
    "rise by chance": (
        "healthy",
        "ok",
        "Healthy run. Best at step 40 of 60; later steps gained nothing (40 s). "
        "Step 20 was as good within noise.",
        {"overfitting": ""},
    ),
    "rise beyond chance": (
        "overfitted",
        "attention",
        "Overfitted at the end. Best at step 40 of 60",
        {"overfitting": "mqlora-tui train --restart --set num_epochs=2"},
    ),
    "memorised": (
        "by_heart",
        "attention",
        "Learnt by heart: the gap to validation grew by 1.04 to 1.18.",
        {"overfitting": LOWER},
    ),
    "gap by chance": ("healthy", "ok", "Healthy run. Best at its last step, 60. Step 10 was as good", {}),
    "jumping": (
        "still_falling",
        "attention",
        "Good, but not finished learning.",
        {"restless": "mqlora-tui train --restart --set learning_rate=3e-4"},
    ),
    "jumping rows": (
        "healthy",
        "ok",
        "Healthy run.",
        {},
    ),
    "rising at first": ("still_falling", "attention", "Good, but not finished", {"restless": LOWER}),
    "slow": (
        "still_falling",
        "attention",
        "Good, but not finished learning.",
        {"underfitting": "mqlora-tui train --restart --set learning_rate=3e-4"},
    ),
    "still gaining with a gap": (
        "still_falling",
        "attention",
        "Good, but not finished learning.",
        {"underfitting": "mqlora-tui train --restart --set num_epochs=4"},
    ),
    "one epoch too few": (
        "still_falling",
        "attention",
        "Good, but not finished learning.",
        {"underfitting": "mqlora-tui train --restart --set num_epochs=2"},
    ),
    "resumed": ("healthy", "ok", "Healthy run. Best at its last step, 60.", {}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_of_known_kind_is_judged_as_that(tmp_path: Path, kind: str) -> None:
    """Verdict and advice come from one judgement: none of the advice is that for another kind."""
    project, _course = write_kind(tmp_path, kind)
    summary = summarise(project)
    verdict = judge(summary)
    outcome, level, start, advice = EXPECTED[kind]
    assert (outcome_of(summary), verdict.level) == (outcome, level)
    assert verdict.headline.startswith(start)
    assert {item.kind: item.command for item in verdict.advice} == advice
    assert sum("--set" in item.command for item in verdict.advice) <= 1
    print(row_of(kind, summary, verdict))


def row_of(kind: str, summary: RunSummary, verdict: Verdict) -> str:
    """One row of the table of known runs, which `pytest -s` prints."""
    words = " ".join([verdict.headline, *(item.text for item in verdict.advice)])
    return f"| {kind} | {words} | {rate_sign(summary) or ''} | `{verdict.command}` |"


def directions(summary: RunSummary, verdict: Verdict) -> dict[str, set[bool]]:
    """Return for each setting that advice changes whether it is raised."""
    found: dict[str, set[bool]] = {}
    for item in verdict.advice:
        for setting in re.findall(r"--set (\S+)", item.command):
            name, _equals, value = setting.partition("=")
            assert summary.config
            found.setdefault(name, set()).add(float(value) > getattr(summary.config, name))
    return found


def opposites(summary: RunSummary, verdict: Verdict) -> list[str]:
    """Return what is said of a run that does not go together."""
    text, changed = format_report(summary, verdict), directions(summary, verdict)
    text = " ".join(text.split())
    more, higher = True in changed.get("num_epochs", ()), changed.get("learning_rate")
    sign = rate_sign(summary)
    fewer = False in changed.get("num_epochs", ())

    def says(pattern: str) -> bool:
        return re.search(pattern, text) is not None

    found = {
        "a setting up and down": any(len(ways) > 1 for ways in changed.values()),
        "more epochs where it overfits": more and says("(slight|significant) overfitting|Overfitted"),
        "more epochs where the last gained nothing": more and says("gained nothing|enough|as good"),
        "fewer epochs where it is not finished": fewer and says("not finished learning"),
        "a higher rate where it is too high": higher == {True} and sign == "high",
        "a lower rate where it is too low": higher == {False} and sign == "low",
        "on and anew": says("--resume") and says("--restart"),
        "overfitting and none": says("no overfitting") and says("Overfitted|overfitted|by heart"),
        "better and not": says("better by") and says("helped nothing"),
    }
    return [words for words, is_so in found.items() if is_so]


@pytest.mark.parametrize("status", ["finished", "paused", "failed"])
@pytest.mark.parametrize("kind", KINDS)
def test_no_two_sentences_advise_opposite_things(tmp_path: Path, kind: str, status: str) -> None:
    """Of any kind of run, finished or not."""
    project, _course = write_kind(tmp_path, kind)
    text = project.state_file.read_text()
    project.state_file.write_text(text.replace('"finished"', f'"{status}"'))
    summary = summarise(project)
    assert opposites(summary, judge(summary)) == []


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ends=st.tuples(st.floats(0.2, 4.0), st.floats(0.2, 4.0)),
    pace=st.floats(2, 200),
    noise=st.floats(0, 1),
    turn=st.floats(0, 0.05),
    rows=st.sampled_from([0, 4, 6, 95, 300]),
    spread=st.floats(0, 1),
    per_epoch=st.sampled_from([15, 20, 30, 60]),
    rate=st.sampled_from([2e-5, 2e-4, 5e-4]),
    jumps=st.lists(st.integers(1, 59), max_size=6),
)
def test_no_course_makes_two_sentences_advise_opposite_things(
    tmp_path: Path,
    ends: tuple[float, float],
    pace: float,
    noise: float,
    turn: float,
    rows: int,
    spread: float,
    per_epoch: int,
    rate: float,
    jumps: list[int],
) -> None:
    """Losses that fall or rise to anywhere at any pace, with jumps, and validations that turn or do not."""
    losses = [abs(loss) + 0.1 for loss in falling(3.0, ends[0], pace, noise=noise)]
    for step in jumps:
        losses[step] += 3.0
    found = {step: loss + turn * step for step, loss in validated(3.1, ends[1], pace).items()}
    course = Course(losses, found, per_epoch=per_epoch, rows=rows, spread=spread, hidden=4096)
    root = Path(tempfile.mkdtemp(dir=tmp_path))
    summary = summarise(write_course(root, replace(course, config={"learning_rate": rate})))
    assert opposites(summary, judge(summary)) == []


def test_the_one_command_is_the_most_urgent_one(tmp_path: Path) -> None:
    """What is wrong comes before what can be done with the result; a good run is talked to."""
    for kind, command in (
        ("still falling", "mqlora-tui train --restart --set num_epochs=4"),
        ("too few rows", "mqlora-tui validate"),
        ("healthy", "mqlora-tui chat"),
    ):
        project, _course = write_kind(tmp_path / kind, kind)
        project.adapters_dir.mkdir()
        project.adapter_file.write_bytes(b"x")
        summary = summarise(project)
        verdict = judge(summary)
        assert verdict.command == command
        ready = verdict.ready_to_paste(project.root).command
        assert " -C " in ready and as_dict(summary, verdict)["verdict"]["command"] == ready
        head, _gap, rest = format_report(summary, verdict).partition("training loss")
        last = command.split()[-1]
        assert "Do this next" in head and last in head.split() and f" {last}\n" not in rest


def test_overfitting_is_said_of_no_run_that_broke(tmp_path: Path) -> None:
    """The gap of such a run tells nothing."""
    for kind in (
        *("last validations not finite", "last steps not finite", "exploding end", "three steps"),
        *("flat and rising", "validation blown up", "huge"),
    ):
        project, _course = write_kind(tmp_path / kind.replace(" ", ""), kind)
        summary = summarise(project)
        assert " overfitting" not in format_report(summary, judge(summary))


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_a_validation_that_the_file_calls_not_finite_is_one(tmp_path: Path, word: str) -> None:
    """JSON has no such word, other programs write it; the line is a step all the same."""
    project, _course = write_kind(tmp_path, "never validated")
    lines = project.metrics_file.read_text().splitlines()
    lines[-1] = lines[-1].replace('"val_loss": null', f'"val_loss": {word}')
    lines[30] = lines[30].replace('"grad_norm": ', f'"grad_norm": {word}, "was": ')
    lines[31] = f"[{word}]"
    write_lines(project, "\n".join(lines) + "\n")
    summary = summarise(project)
    assert (summary.steps, summary.unreadable_lines, summary.skipped_steps) == (60, 1, 1)
    assert summary.failed_validations == 1
    assert judge(summary).headline == "Diverged: the last validation was not finite."
    assert load_history(project).points("val_loss")[0].tolist() == []


def test_a_validation_that_the_plan_does_not_know_of_tells_of_no_others(tmp_path: Path) -> None:
    """Where validations stand at other steps than the settings say, no missing one is called a failure."""
    project, _course = write_kind(tmp_path, "healthy")
    lines = project.metrics_file.read_text().splitlines()
    moved = lines[14].replace('"val_loss": null', '"val_loss": 2.0')
    assert EVERY == 10 and moved != lines[14]
    lines[14], lines[59] = moved, re.sub('"val_loss": [^,]+', '"val_loss": null', lines[59])
    write_lines(project, "\n".join(lines) + "\n")
    assert summarise(project).failed_validations == 0


def running(project: Project) -> None:
    """Make the run of a folder one that goes on."""
    text = project.state_file.read_text()
    project.state_file.write_text(
        text.replace('"finished"', '"running"').replace('"total_steps": 60', '"total_steps": 90')
    )


def test_who_watches_a_run_hears_that_it_broke(tmp_path: Path) -> None:
    """Two validations that were not finite; one odd step alone is no news yet."""
    reported = {}
    for kind in ("last validations not finite", "one odd last step"):
        project, _course = write_kind(tmp_path / kind, kind)
        running(project)
        with run_lock(project):
            summary = summarise(project)
            assert summary.status == "running"
            reported[kind] = [item.kind for item in live_advice(summary, load_history(project), 1.0)]
    assert reported == {"last validations not finite": ["diverged", "non_finite"], "one odd last step": []}


def test_a_broken_run_is_not_offered_for_use(tmp_path: Path) -> None:
    """What made nothing better is drawn, not made part of a model; a best from before may be used."""
    for kind, titles in (
        ("helped nothing", ["draw it"]),
        ("broken and never better", ["draw it"]),
        ("all zero", ["draw it"]),
        ("exploding end", ["talk to it", "draw it"]),
    ):
        project, _course = write_kind(tmp_path / kind, kind)
        project.adapters_dir.mkdir()
        project.adapter_file.write_bytes(b"x")
        assert [step.text for step in judge(summarise(project)).next_steps][:2] == titles


@pytest.mark.parametrize("kind", KINDS)
def test_a_paused_run_is_told_to_go_on_or_to_begin_anew_and_not_both(tmp_path: Path, kind: str) -> None:
    """Anew only where it broke; the headline says as much."""
    project, _course = write_kind(tmp_path, kind)
    project.state_file.write_text(project.state_file.read_text().replace('"finished"', '"paused"'))
    write_checkpoint(project, 0, 60, {})
    summary = summarise(project)
    verdict = judge(summary)
    commands = [item.command for item in verdict.advice]
    outcome = outcome_of(summary)
    has_broken, is_empty = outcome in BROKEN, outcome in ("zero_loss", "no_steps")
    assert any("--restart" in command for command in commands) == (has_broken and not is_empty)
    assert any("--resume" in command for command in commands) == (not has_broken)
    assert verdict.headline.startswith("Paused at step") == (not has_broken and not is_empty)


@pytest.mark.parametrize(("noise", "outcome"), [(0.05, "by_heart"), (1.0, "healthy")])
def test_a_gap_that_chance_may_have_made_is_not_held_against_a_run(
    noise: float, outcome: Outcome, tmp_path: Path
) -> None:
    """The same growth of 0.51, of steps that scatter little and of steps that scatter widely."""
    found = set()
    for number in range(2):
        draw = np.random.default_rng(number)
        losses = [2.0 + noise * x for x in draw.standard_normal(50)]
        losses[:3], losses[-10:] = [2.0] * 3, [1.3] * 10
        validations = {10: 2.05, 20: 2.04, 30: 2.03, 40: 2.02, 50: 2.01}
        project = write_run(tmp_path / str(number), losses, validations, initial_val_loss=2.2)
        summary = summarise(project)
        assert summary.gap_growth == pytest.approx(0.51)
        found.add(outcome_of(summary))
    assert found == {outcome}
