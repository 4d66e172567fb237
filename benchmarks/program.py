"""One training run of the real program, headless or in the app, and how long its steps took."""

import json
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

from benchmarks.watched_app import watched_app
from engine.project import Project
from engine.training.state import RunState

SIDES = ("headless", "app")
LIMIT_S = 900.0
"""After which a run is given up."""
_LEAVE_S = 60.0
"""After which a program that was told to end is killed."""
_LOOK_S = 0.1


@dataclass(frozen=True)
class Steps:
    """The optimizer steps of a run that count."""

    seconds: list[float]
    """Wall-clock time of each."""
    tokens: list[int]
    """Real tokens of each."""
    cpu_seconds: float
    """CPU time of the program and its children a step."""


def run_program(side: str, project: Project, steps: int, skip: int) -> Steps:
    """Train in a new project, one of `SIDES`; no process of it is left afterwards.

    Args:
        side: how.
        project: with the selected configuration and as much data as it takes.
        steps: optimizer steps of the run.
        skip: first steps that do not count; the last does not either.

    Raises:
        RuntimeError: the program ended early or hangs.
    """
    is_app = side == "app"
    arguments = () if is_app else ("train",)
    marks = []
    with watched_app(project.root, *arguments, has_terminal=is_app, limit_s=_LEAVE_S) as program:
        if is_app:
            program.wait_for("Ready for")
            program.press("4")
            program.wait_for("Enter Start")
            program.press("\r")
        for step in (skip, steps - 1):
            program.wait_until(partial(_has_made, project, step), LIMIT_S, _LOOK_S)
            marks.append((len(_metrics(project)), program.now().cpu_seconds))
        program.wait_until(partial(_is_finished, project), LIMIT_S, _LOOK_S)
    (first, cpu_first), (last, cpu_last) = marks
    counted = _metrics(project)[max(0, skip - 1) : steps - 1]
    elapsed = [row["elapsed_s"] for row in counted]
    return Steps(
        seconds=[after - before for before, after in pairwise(elapsed)],
        tokens=[row["tokens"] for row in counted[1:]],
        cpu_seconds=(cpu_last - cpu_first) / max(1, last - first),
    )


def _metrics(project: Project) -> list[dict[str, Any]]:
    """Return the whole lines there are."""
    if not project.metrics_file.exists():
        return []
    text = project.metrics_file.read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def _has_made(project: Project, steps: int) -> bool:
    return len(_metrics(project)) >= steps


def _is_finished(project: Project) -> bool:
    state = RunState.load(project.state_file)
    return state is not None and state.status == "finished"
