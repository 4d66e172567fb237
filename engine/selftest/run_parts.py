"""Parts of the self-test that train: a short run, Ctrl+C on a terminal, a resume, interruptions."""

import json
import math
import signal
from pathlib import Path
from typing import Any

from engine.errors import UserError
from engine.find_models import label
from engine.hardware.report import Check
from engine.i18n import _
from engine.model.demo import MODEL_NAME
from engine.project import Project
from engine.sanitize import one_line
from engine.selftest.bench import Bench
from engine.selftest.part import Skipped, found
from engine.selftest.process import run_to_end, time_limit
from engine.selftest.pseudo_terminal import PseudoTerminal
from engine.training.checkpoint_folders import checkpoint_folders
from engine.training.checksums import is_whole, read_state
from engine.training.state import RunState
from engine.units import steps
from engine.verify.child import ChildEvent, training_process

_STEPS = 8
"""Of the short run."""
_PAUSE_AFTER = 2
_VERIFIED_STEPS = 6
_PAUSED_CODE = 128 + signal.SIGINT


def try_model(bench: Bench, limit_s: float) -> Check:
    """Find the base model, or write the built-in one into the temporary folder."""
    if bench.given:
        bench.model = bench.given
        return found(_("{name}, of this project").format(name=label(bench.given)))
    project = bench.project("model")
    command = [*bench.launcher.command, "-C", str(project.root), "demo", "--json"]
    ended = run_to_end(command, bench.launcher.environment, limit_s)
    if ended.code:
        raise ended.failure()
    bench.model = project.models_dir / MODEL_NAME
    return found(_("{name}, written and asked a question").format(name=MODEL_NAME))


def try_run(bench: Bench, limit_s: float) -> Check:
    """Train a few steps; the loss falls, and the checkpoint can be read."""
    project = _project(bench, "run")
    events = _trained(bench, project, limit_s, "--config", str(_saved(bench, project, max_steps=_STEPS)))
    losses = [event["val_loss"] for event in events if event["event"] == "evaluated"]
    speeds = [event["tokens_per_second"] for event in events if event["event"] == "step_done"]
    value = _("{steps}, validation loss {before:.3f} to {after:.3f}, speed {speed:,.0f} tok/s").format(
        steps=steps(len(speeds)), before=losses[0], after=losses[-1], speed=max(speeds)
    )
    if not all(math.isfinite(loss) for loss in losses):
        return found(value, "error", _("The loss is not a finite number"))
    if losses[-1] >= losses[0]:
        return found(value, "error", _("The loss does not fall"))
    if problem := _checkpoint_problem(project, _STEPS):
        return found(value, "error", problem)
    return found(_("{value}; checkpoint read back").format(value=value))


def try_pause(bench: Bench, limit_s: float) -> Check:
    """Train on a terminal, as a user does, and press Ctrl+C."""
    project = _project(bench, "pause")
    file = _saved(bench, project)
    command = [*bench.supervised.command, "-C", str(project.root), "train", "--config", str(file)]
    with PseudoTerminal(command, bench.supervised.environment, limit_s) as terminal:
        if not terminal.wait_until(lambda: _recorded(project) >= _PAUSE_AFTER):
            raise UserError(_last_line(terminal.output), "")
        terminal.press("\x03")
        code = terminal.end()
    state = RunState.load(project.state_file)
    value = _("exit code {code}, {status} after {steps}").format(
        code=code, status=state.status if state else "?", steps=steps(state.step if state else 0)
    )
    if code != _PAUSED_CODE or state is None or state.status != "paused":
        detail = _("Ctrl+C should pause the run with exit code {code}").format(code=_PAUSED_CODE)
        return found(value, "error", detail)
    if problem := _checkpoint_problem(project, state.step):
        return found(value, "error", problem)
    return found(_("{value}; checkpoint whole").format(value=value))


def try_resume(bench: Bench, limit_s: float) -> Check:
    """Go on with the run that Ctrl+C paused, and pause it again.

    Raises:
        Skipped: there is no such run.
    """
    project = _project(bench, "pause")
    state = RunState.load(project.state_file)
    if state is None or state.status != "paused":
        raise Skipped(_("There is no paused run to go on with"))
    events = _trained(bench, project, limit_s, "--resume", pause_after=state.step + 1)
    begun = next(event["step"] for event in events if event["event"] == "started")
    ended = events[-1]
    value = _("resumed at step {begun}, {event} at step {ended}").format(
        begun=begun, event=ended["event"], ended=ended.get("step", "?")
    )
    if begun != state.step:
        detail = _("It should go on at step {step}").format(step=state.step)
        return found(value, "error", detail)
    if ended["event"] != "paused" or ended["step"] <= begun:
        return found(value, "error", _("It should make at least one step and pause again"))
    return found(value)


def try_interruptions(bench: Bench, limit_s: float) -> Check:
    """Let `verify-resume` kill and pause a run, and compare its end with an undisturbed one's."""
    project = _project(bench, "verify")
    file = _saved(bench, project)
    options = ["--steps", str(_VERIFIED_STEPS), "--config", str(file), "--json"]
    command = [*bench.launcher.command, "-C", str(project.root), "verify-resume", *options]
    ended = run_to_end(command, bench.launcher.environment, limit_s)
    try:
        verdict: dict[str, Any] = json.loads(ended.output)
        return judge_interruptions(verdict)
    except (ValueError, LookupError):
        raise ended.failure() from None


def judge_interruptions(verdict: dict[str, Any]) -> Check:
    """Say what `verify-resume --json` found.

    Raises:
        LookupError: it is something else.
    """
    hit = [point["kind"] for point in verdict["interruptions"] if point["hit"]]
    different = [file["file"] for file in verdict["files"] if not file["identical"]]
    value = _("{steps}, kills: {killed}, pauses: {paused}").format(
        steps=steps(verdict["steps"]), killed=len(hit) - hit.count("pause"), paused=hit.count("pause")
    )
    if not verdict["identical"]:
        names = [*different, *verdict["leftovers"]] or [_("a checkpoint")]
        detail = _("An interrupted run ends differently: {names}").format(names=", ".join(names))
        return found(value, "error", detail)
    value = _("{value}; no byte differs").format(value=value)
    if not hit:
        return found(value, "warning", _("The steps were too short to be hit, so nothing is proved"))
    return found(value)


def _project(bench: Bench, name: str) -> Project:
    """Return a project to train in.

    Raises:
        Skipped: there is no base model.
    """
    if bench.model is None:
        raise Skipped(_("There is no base model to train"))
    return bench.project(name)


def _saved(bench: Bench, project: Project, **changes: object) -> Path:
    """Write the configuration of a short run and return its file."""
    file = project.root / "config.json"
    bench.config(**changes).save(file)
    return file


def _trained(
    bench: Bench, project: Project, limit_s: float, *options: str, pause_after: int | None = None
) -> list[ChildEvent]:
    """Train in a process of its own and return what it told; `pause_after` that step send it SIGINT.

    Raises:
        UserError: it failed, or took too long.
    """
    events = []
    with (
        training_process(bench.launcher, project, *options) as process,
        time_limit(limit_s, lambda: process.interrupt(signal.SIGKILL)),
    ):
        for event in process.events():
            events.append(event)
            if event["event"] == "step_done" and event["step"] == pause_after:
                process.interrupt(signal.SIGINT)
        process.end(None if pause_after is None else signal.SIGINT)
    return events


def _recorded(project: Project) -> int:
    """Return the number of steps in a run's metrics."""
    try:
        return project.metrics_file.read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


def _checkpoint_problem(project: Project, step: int) -> str:
    """Say what is wrong with a run's newest checkpoint, which should be of `step`; empty if nothing is."""
    for folder in checkpoint_folders(project.run_dir)[:1]:
        state = read_state(folder)
        if state is None or not is_whole(folder, state["files"]):
            return _("Checkpoint {name} is damaged").format(name=folder.name)
        return "" if state["step"] == step else _("The newest checkpoint is of another step")
    return _("There is no checkpoint")


def _last_line(output: bytes) -> str:
    lines = [line.strip() for line in output.decode("utf-8", errors="replace").splitlines()]
    said = [line for line in lines if line]
    return one_line(said[-1], 300) if said else _("The program ended without a word")
