"""`tune`: which settings are best, tried in short runs that are agreed to before."""

import shlex
import signal
import sys
from dataclasses import dataclass

from engine.config import TrainingConfig
from engine.i18n import _
from engine.project import Project
from engine.runs.places import archived
from engine.shell import complete
from engine.training.selected_config import changes, settings_beside
from engine.tuning.prepare import Values, prepare
from engine.tuning.result import TuningResult
from engine.tuning.sentences import run_words
from engine.tuning.state import Tuning, load_tuning
from tui.cli.train import agree, unblocked_output
from tui.cli.train_output import reporter
from tui.cli.tune_output import as_json, show_result, tell_price
from tui.console import err, print_json, say, say_model
from tui.terminal.signals import pausing_signals

import typer


@dataclass(frozen=True)
class Wanted:
    """What the options ask for."""

    values: Values
    names_settings: bool
    """Whether it says which settings are chosen; else a tuning that has begun goes on with its own."""
    is_restarted: bool
    is_applied: bool
    is_agreed: bool
    as_json: bool


def tune_settings(project: Project, chosen: TrainingConfig, wanted: Wanted) -> int:
    """Try settings beside the chosen ones; return 0, or 128 + the signal that paused it.

    Raises:
        UserError: model or data cannot be used, another process trains, or it is not agreed to.
    """
    before = None if wanted.is_restarted else load_tuning(project)
    if before and not wanted.names_settings:
        chosen = before.chosen
    chosen = chosen.updated({"model": project.model_name(chosen.model)})
    prepared = prepare(project, chosen, wanted.values, before)
    tuning = prepared.tuning
    if not wanted.as_json:
        say_model(project, chosen.model)
    tell_price(project, chosen, tuning, prepared.goes_on, wanted.as_json)
    agree(wanted.is_agreed, _("Train these runs?"), _("name other values, or fewer of them"))
    result, code = _run(project, chosen, tuning, wanted.as_json)
    if result is None:
        return code
    best = tuning.candidates[result.best].config(chosen)
    if not wanted.as_json:
        show_result(result)
    is_applied = _apply(project, chosen, result, best, wanted)
    if wanted.as_json:
        print_json({"tuning": as_json(result) | {"applied": is_applied}})
    return 0


def _run(
    project: Project, chosen: TrainingConfig, tuning: Tuning, as_json: bool
) -> tuple[TuningResult | None, int]:
    """Train what is left; return what was found, or nothing and the exit code of a pause."""
    from engine.tuning.tuner import Tuner  # imports MLX

    show = reporter(as_json)

    def on_run(place: int, share: float) -> None:
        show.close()
        words = run_words(place, len(tuning.runs), tuning.candidates[place].label(chosen), share)
        if as_json:
            print_json({"event": "tuning_run", "run": tuning.runs[place].folder, "share": share})
        else:
            say(words)
        show.open()

    def on_signal(received: list[int]) -> None:
        if len(received) == 1:
            show.pausing()

    with pausing_signals(on_signal) as (stop, received), unblocked_output(stop):
        show.open()
        try:
            result = Tuner(project, chosen, tuning, stop, on_run, show.show).run()
        finally:
            show.close()
    if result is None and not as_json:
        say(_("Paused; go on with: {command}").format(command=complete("mqlora-tui tune", project.root)), err)
    return result, 128 + (received[0] if received else signal.SIGINT)


def _apply(
    project: Project, chosen: TrainingConfig, result: TuningResult, best: TrainingConfig, wanted: Wanted
) -> bool:
    """Choose the best settings where that is asked for, or agreed to, and they are better beyond chance.

    Returns:
        Whether they are chosen now.
    """
    if result.outcome != "better":
        return False
    asked = not wanted.as_json and sys.stdin.isatty() and sys.stderr.isatty()
    if not wanted.is_applied and not (asked and typer.confirm(_("Choose these settings?"), err=True)):
        if not wanted.as_json:
            # The run's own file: with the strength of the adapter, and all that the options named.
            file = archived(project, result.tried[result.best].folder).project.config_file
            options = ["--restart", f"--config={file}"]
            command = complete(f"mqlora-tui train {shlex.join(options)}", project.root)
            say("   " + _("train with them: {command}").format(command=command))
        return False
    project.make_run_dir()
    before = settings_beside(project, best) if project.config_file.exists() else chosen
    replaced = changes(before.updated({"model": before.model or best.model}), best)
    best.save(project.config_file)
    if not wanted.as_json:
        text = _("✓ They are chosen for the next run: {changes}")
        say(text.format(changes=", ".join(replaced)) if replaced else _("✓ They are chosen already."))
    return True
