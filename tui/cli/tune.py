"""`tune`: which settings are best, tried in short runs that are agreed to before."""

import shlex
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.analysis.run_folder import model_width
from engine.config import TrainingConfig
from engine.errors import UserError
from engine.i18n import _
from engine.learning_rate import usual_rate
from engine.optimizer_facts import RATE_FACTORS
from engine.project import Project
from engine.runs.places import archived
from engine.shell import complete
from engine.tuning.plan import candidates
from engine.tuning.state import Tuning, key_of, load_tuning, planned
from tui.cli.train import agree, unblocked_output
from tui.cli.train_output import reporter
from tui.cli.tune_output import as_json, show_result, tell_price
from tui.console import err, print_json, say, say_model
from tui.terminal.signals import pausing_signals

import typer

if TYPE_CHECKING:  # it imports MLX
    from engine.tuning.result import TuningResult


@dataclass(frozen=True)
class Wanted:
    """What the options ask for."""

    rates: tuple[float, ...]
    ranks: tuple[int, ...]
    epochs: tuple[int, ...]
    names_settings: bool
    """Whether it says which settings are chosen; else a tuning that has begun goes on with its own."""
    is_restarted: bool
    is_applied: bool
    is_agreed: bool
    as_json: bool

    @property
    def names_values(self) -> bool:
        """Whether it says what is to be tried."""
        return bool(self.rates or self.ranks or self.epochs)


def tune_settings(project: Project, chosen: TrainingConfig, wanted: Wanted) -> int:
    """Try settings beside the chosen ones; return 0, or 128 + the signal that paused it.

    Raises:
        UserError: model or data cannot be used, another process trains, or it is not agreed to.
    """
    if not project.valid_file.exists():
        raise UserError(
            _("Settings are compared on validation rows, and there is no {path}").format(
                path=project.valid_file
            ),
            _("put rows there that are not trained on"),
        )
    before = None if wanted.is_restarted else load_tuning(project)
    if before and not wanted.names_settings:
        chosen = before.chosen
    chosen = chosen.updated({"model": project.model_name(chosen.model)})
    tuning, goes_on = _tuning(project, chosen, wanted, before)
    if not wanted.as_json:
        say_model(project, chosen.model)
    tell_price(project, chosen, tuning, goes_on, wanted.as_json)
    agree(wanted.is_agreed, _("Train these runs?"), _("name other values, or fewer of them"))
    result, code = _run(project, chosen, tuning, wanted.as_json)
    if result is None:
        return code
    best = tuning.candidates[result.best].config(chosen)
    if not wanted.as_json:
        show_result(result)
    is_applied = _apply(project, result, best, wanted)
    if wanted.as_json:
        print_json({"tuning": as_json(result) | {"applied": is_applied}})
    return 0


def _tuning(
    project: Project, chosen: TrainingConfig, wanted: Wanted, before: Tuning | None
) -> tuple[Tuning, bool]:
    """Return what is tried, and whether that has begun before.

    Raises:
        UserError: what has begun is of other settings, model or data.
    """
    key = key_of(project, chosen)
    if before and before.key != key:
        raise UserError(
            _("The tuning that is there was of other settings, another model or other data"),
            _("begin anew with: mqlora-tui tune --restart"),
        )
    if before and not wanted.names_values:
        return before, True
    tried = candidates(chosen, wanted.rates, wanted.ranks, wanted.epochs, _usual(project, chosen))
    if before and before.candidates != tried:
        raise UserError(
            _("The tuning that is there tries other values"),
            _("go on with it by leaving them out, or begin anew with --restart"),
        )
    return (before, True) if before else (planned(project, key, tried, chosen), False)


def _usual(project: Project, chosen: TrainingConfig) -> float | None:
    """Return the learning rate by rule of thumb, for the chosen optimizer and more than 100 steps."""
    hidden, family = model_width(project.model_dir(chosen.model))
    usual = usual_rate(hidden, 1000, family) if hidden else None
    return None if usual is None else usual * RATE_FACTORS[chosen.optimizer]


def _run(
    project: Project, chosen: TrainingConfig, tuning: Tuning, as_json: bool
) -> "tuple[TuningResult | None, int]":
    """Train what is left; return what was found, or nothing and the exit code of a pause."""
    from engine.tuning.tuner import Tuner  # imports MLX

    show = reporter(as_json)

    def on_run(place: int, share: float) -> None:
        show.close()
        text = _("{n} of {count}: {label}, to a third of its steps")
        if share == 1:
            text = _("{n} of {count}: {label}, to its end")
        words = text.format(n=place + 1, count=len(tuning.runs), label=tuning.candidates[place].label(chosen))
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


def _apply(project: Project, result: "TuningResult", best: TrainingConfig, wanted: Wanted) -> bool:
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
    best.save(project.config_file)
    if not wanted.as_json:
        say(_("✓ They are chosen for the next run."))
    return True
