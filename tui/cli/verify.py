"""`verify-resume`: the experiment in engine/verify as it is shown on the terminal."""

import os
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from typing import Any

from engine import units
from engine.config import TrainingConfig
from engine.i18n import _, ngettext
from engine.project import Project
from engine.verify.child import Launcher
from engine.verify.experiment import verify
from engine.verify.results import Advance, ExperimentEvent, ExperimentResult, Interruption
from tui.console import out, print_json, say, status_mark
from tui.respawn import SUPERVISED

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

_DIGITS = 12


def verify_resume(project: Project, config: TrainingConfig, steps: int, as_json: bool) -> int:
    """Run the experiment, tell how it goes, and return 0 if interruptions leave no trace, else 1.

    Raises:
        UserError: training was refused or failed.
    """
    with closing(verify(project, config, steps, launcher())) as events:
        verdict = _last(events if as_json else _shown(events, config))
    if as_json:
        print_json(_as_json(verdict))
    else:
        _show(verdict)
    return 0 if verdict.identical else 1


def launcher() -> Launcher:
    """Return how this program is started again, without a supervisor around it."""
    return Launcher((sys.executable, "-P", "-m", "tui"), {**os.environ, SUPERVISED: "1"})


def _last(events: Iterator[ExperimentEvent]) -> ExperimentResult:
    *_before, verdict = events
    assert isinstance(verdict, ExperimentResult)
    return verdict


def _shown(events: Iterator[ExperimentEvent], config: TrainingConfig) -> Iterator[ExperimentEvent]:
    """Pass on the events; show a bar for each run, where there is a terminal, and each interruption."""
    say(_("The same run twice in a temporary folder: left alone, then interrupted."))
    say(_("A step has {batch} x {examples}.").format(
        batch=config.batch_size, examples=units.examples(config.gradient_accumulation)
    ))  # fmt: skip
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=out, disable=not out.is_terminal) as bar:
        tasks = [bar.add_task(text, total=None, start=False) for text in (_("left alone"), _("interrupted"))]
        for item in events:
            if isinstance(item, Advance):
                bar.start_task(tasks[item.interrupted])
                bar.update(tasks[item.interrupted], completed=item.step, total=item.total)
                if not item.interrupted and item.step == item.total:
                    bar.stop_task(tasks[0])
                    say(_("✓ left alone: {steps}").format(steps=units.steps(item.total)), bar.console)
            elif isinstance(item, Interruption):
                say(f"  {_interrupted(item)}", bar.console)
            yield item


PLACES = {
    "step": _("killed in the middle of step {next}"),
    "evaluation": _("killed in the validation after step {step}"),
    "checkpoint": _("killed while the checkpoint of step {step} was written"),
    "pause": _("paused by SIGINT after step {step}"),
}
MISSES = {
    "step": _("the middle of a step was not hit"),
    "evaluation": _("the middle of a validation was not hit"),
    "checkpoint": _("the writing of a checkpoint was not hit"),
    "pause": _("the pause came too late"),
}


def _place(point: Interruption) -> str:
    """Say where the run was interrupted, and how often that was tried if not at once."""
    text = (PLACES if point.hit else MISSES)[point.kind].format(step=point.step, next=point.step + 1)
    if point.tries > 1:
        text += ngettext(" ({n} try)", " ({n} tries)", point.tries).format(n=point.tries)
    return text


def _interrupted(point: Interruption) -> str:
    text = ngettext("{place}; resumed at step {step}, {lost} step again",
                    "{place}; resumed at step {step}, {lost} steps again", point.lost_steps)  # fmt: skip
    return text.format(place=_place(point), step=point.resumed_step, lost=point.lost_steps)


def _show(verdict: ExperimentResult) -> None:
    """Print what was compared and the verdict in one sentence."""
    table = _table("", _("interruption"), _("next checkpoint"))
    for point in verdict.interruptions:
        table.add_row(*_compared(point))
    out.print(table)
    table = _table("", _("file"), _("left alone"), _("interrupted"))
    for file in verdict.files:
        mark = status_mark("ok" if file.identical else "error")
        digests = (Text(digest[:_DIGITS] or "-") for digest in (file.straight, file.interrupted))
        table.add_row(mark, Text(file.file), *digests)
    out.print(table)
    for file in verdict.files:
        if not file.identical:
            say(f"✗ {file.file}: {file.difference}")
    if verdict.leftovers:
        say(_("✗ left behind: {names}").format(names=", ".join(verdict.leftovers)))
    say(_sentence(verdict))


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column)
    return table


def _compared(point: Interruption) -> tuple[Text, str, str]:
    """Return the row of an interruption: a mark, where it was, and the checkpoint after it."""
    if point.compared_step is None:
        return status_mark("warning"), _place(point), _("not compared")
    text = _("step {step}: identical") if point.identical else _("step {step}: different")
    mark = status_mark("ok" if point.identical else "error")
    return mark, _place(point), text.format(step=point.compared_step)


def _sentence(verdict: ExperimentResult) -> str:
    hit = [point.kind for point in verdict.interruptions if point.hit]
    paused = hit.count("pause")
    if verdict.identical:
        text = _("✓ Identical: killed {k}, paused {p}, no byte differs after {steps} (times aside).")
    else:
        text = _("✗ Different: killed {k}, paused {p}, another result after {steps}.")
    killed = ngettext("{n} time", "{n} times", len(hit) - paused).format(n=len(hit) - paused)
    return text.format(k=killed, p=paused, steps=units.steps(verdict.steps))


def _as_json(verdict: ExperimentResult) -> dict[str, Any]:
    interruptions = [{**asdict(point), "lost_steps": point.lost_steps} for point in verdict.interruptions]
    files = [{**asdict(file), "identical": file.identical} for file in verdict.files]
    return {"identical": verdict.identical, **asdict(verdict), "interruptions": interruptions, "files": files}
