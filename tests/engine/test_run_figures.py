"""Every figure of the reports on runs of known kind, worked out again from what was measured."""

import itertools
import math
import re
import statistics
from pathlib import Path
from typing import Any

from engine.analysis.report import format_report
from engine.analysis.summary import summarise
from engine.analysis.verdict import judge
from tests.support.run_kinds import KINDS, Course, write_kind

import pytest

MOST = 3.5e38
"""Beyond it no float32 goes: whatever says so is no line of a run."""


def mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def nats(loss: float) -> str:
    return f"{loss:.2f}" if loss < 1e5 else f"{loss:.2e}"


def mean_until(kept: list[tuple[int, float]], last: int) -> float:
    """Return the mean of the last 10 finite losses up to a step; of their second half if fewer than 20."""
    losses = [loss for step, loss in kept if step <= last and math.isfinite(loss)]
    return mean(losses[-min(10, max(1, len(losses) // 2)) :])


def figures(course: Course) -> dict[str, Any]:
    """Work the report's figures out from what was measured, in plain Python."""
    kept = [
        (step, loss)
        for step, loss in enumerate(course.losses, 1)
        if step not in course.missing and not abs(loss) > MOST
    ]
    if not kept:
        return {"steps": 0, "unreadable_lines": len(course.losses), "first_loss": None, "epoch_losses": []}
    losses = [loss for _step, loss in kept if math.isfinite(loss)]
    checked = [(step, loss) for step, loss in sorted(course.validations.items()) if math.isfinite(loss)]
    count = min(10, len(losses) // 2)
    epochs: dict[int, list[float]] = {}
    lines: dict[int, list[int]] = {}
    for step, loss in kept:
        lines.setdefault((step - 1) // course.per_epoch, []).append(90 + step % 7)
        if math.isfinite(loss):
            epochs.setdefault((step - 1) // course.per_epoch, []).append(loss)
    whole = [sum(tokens) for tokens in lines.values() if len(tokens) == course.per_epoch]
    third = len(losses) // 3
    found: dict[str, Any] = {
        "steps": kept[-1][0],
        "first_loss": mean(losses[:count]),
        "last_loss": mean(losses[-count:]),
        "late_loss": statistics.median(losses[-count:]),
        "end_loss": losses[-1],
        "end_losses": losses[-10:],
        "improvement_percent": 100 * (1 - mean(losses[-count:]) / mean(losses[:count]))
        if any(losses)
        else None,
        "late_fall": 1 - mean(losses[2 * third :]) / mean(losses[third : 2 * third])
        if third > 2 and any(losses)
        else None,
        "untrained_loss": None if course.initial is None else max(course.initial, course.losses[0]),
        "skipped_steps": sum(not math.isfinite(loss) for _step, loss in kept),
        "skipped_at_end": sum(not math.isfinite(loss) for _step, loss in kept[-10:]),
        "failed_validations": sum(not math.isfinite(loss) for loss in course.validations.values()),
        "epoch_losses": [(epoch, mean(values)) for epoch, values in epochs.items()],
        "tokens": sum(90 + step % 7 for step, _loss in kept),
        "tokens_per_epoch": round(mean([float(tokens) for tokens in whole])) if whole else None,
        "tokens_per_second": statistics.median(50.0 + step % 5 for step, _loss in kept),
        "peak_memory_gb": round(1.0 + kept[-1][0] / 100, 2),
        "duration_s": 2.0 * kept[-1][0],
    }
    return found | (validation_figures(course, kept, checked) if checked else {})


def validation_figures(
    course: Course, kept: list[tuple[int, float]], checked: list[tuple[int, float]]
) -> dict[str, Any]:
    """Work out what follows from the validations: (step, loss) of the steps kept, and of the validations."""
    best_step, best = min(checked, key=lambda point: point[1])
    last_step, last = checked[-1]
    beside, at_best = (mean_until(kept, step) for step in (last_step, best_step))
    first = [loss for step, loss in kept if step <= 3 and math.isfinite(loss)]
    losses = [loss for _step, loss in kept if math.isfinite(loss)]
    if len(losses) >= 9 and len(first) > 1:
        apart = statistics.median(abs(one - other) for one, other in itertools.pairwise(losses))
        if first[0] - min(first[1:]) > 2 * apart / 0.6745:  # two such differences: another model already
            first = first[:1]
    initial = None if course.initial is None else course.initial - mean(first)
    return {
        "best_val_loss": best,
        "best_step": best_step,
        "last_val_loss": last,
        "last_val_step": last_step,
        "loss_at_best": at_best,
        "gap": last - beside,
        "initial_gap": initial,
        "gap_growth": last - beside - max(0.0, initial or 0.0),
        "val_rise": last - best,
    } | ({} if course.rows else wasted_figures(kept, best_step))


def wasted_figures(kept: list[tuple[int, float]], best_step: int) -> dict[str, Any]:
    """Work out what followed the best; with losses of rows an earlier step may be as good."""
    steps = kept[-1][0] - best_step
    return {"wasted_steps": steps, "wasted_s": 2.0 * steps}


@pytest.mark.parametrize("kind", KINDS)
def test_every_figure_is_that_of_the_run(tmp_path: Path, kind: str) -> None:
    """Of the summary, and of the report as it is printed."""
    project, course = write_kind(tmp_path, kind)
    summary, expected = summarise(project), figures(course)
    for name, value in expected.items():
        found = getattr(summary, name)
        if name == "epoch_losses":
            assert [epoch for epoch, _loss in found] == [epoch for epoch, _loss in value]
            assert [loss for _e, loss in found] == pytest.approx([loss for _e, loss in value])
        else:
            found = list(found) if isinstance(found, tuple) else found
            assert found == (value if value is None else pytest.approx(value, abs=1e-12)), name

    text = " ".join(format_report(summary, judge(summary)).split())
    if not expected["steps"]:
        assert "training loss" not in text and "tok/s" not in text
        return
    improvement = expected["improvement_percent"]
    change = 0 if improvement is None else round(-improvement)
    is_said = improvement is not None and change <= 100
    percent = f" ({f'{change:+d}' if change else 0} %)" if is_said else ""
    assert f"training loss {nats(expected['first_loss'])} → {nats(expected['last_loss'])}{percent}" in text
    assert ("%)" in text) == bool(percent)
    assert f"{expected['tokens_per_second']:.0f} tok/s in training steps" in text
    assert f"peak {expected['peak_memory_gb']:.1f} GB" in text
    for epoch, loss in expected["epoch_losses"]:
        assert f"epoch {epoch + 1} {nats(loss)}" in text
    assert ("gap" in text) == ("gap" in expected and not summary.failed_at_end)
    if expected.get("best_val_loss") is not None:
        end = "not finite" if summary.failed_at_end else nats(expected["last_val_loss"])
        assert f" {nats(expected['best_val_loss'])} at best, {end} at the end" in text
    assert not re.search(r"[-+]0(\.0+)?(?![.\d])", text.replace(str(project.root), ""))
