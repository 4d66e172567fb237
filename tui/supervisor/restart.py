"""After a crash: says what happened and decides whether, and how, to go on."""

import sys
from collections.abc import Sequence
from pathlib import Path
from signal import SIGINT

from engine.i18n import _, ngettext
from engine.project import Project
from engine.training.crash import cause_of_death, record_crash
from engine.training.state import RunState
from engine.units import duration
from tui.console import err, report_crash, say
from tui.respawn import peek
from tui.shell import work_in
from tui.supervisor.death import Death
from tui.terminal import keys
from tui.terminal.keys import single_keys
from tui.terminal.settings import is_foreground

MOST_RESTARTS = 3
"""Unattended restarts in a row without a new checkpoint; the first only if memory had not surely run out."""
_PATIENCE_S = 3600.0
# Signals by which people and systems end a program: no crash.
_NO_CRASH = (1, 2, 3, 13, 15)


class RestartPolicy:
    """Remembers the deaths of one supervisor's children."""

    def __init__(self, directory: Path, arguments: Sequence[str]) -> None:
        """Prepare for a program that was started in `directory` with `arguments`."""
        self._project = Project(directory.resolve())
        work_in(self._project)
        self._is_app = peek(arguments)[1] is None
        self._as_json = "--json" in arguments
        self._world = [] if self._is_app else _world(arguments)
        self._checkpoint: str | None = None
        self._deaths = 0
        """Since there was a new checkpoint."""

    def decide(self, death: Death) -> list[str] | None:
        """Tell of a death; return the arguments to start again with, or None to leave."""
        if death.signal in _NO_CRASH:
            return None
        stalled = "" if death.stalled_s is None else duration(death.stalled_s)
        cause, is_memory = cause_of_death(death.signal, death.messages, stalled)
        was_to_go_on = self._deaths > 0 and not self._is_app
        state = record_crash(self._project, death.pid, cause, death.messages, was_to_go_on)
        if state is None or state.last_checkpoint is None:
            report_crash(cause, death.messages)
            return None
        say(_("{cause}, at step {step}; the run is safe in {checkpoint}, details are in {log}.").format(
            cause=cause,
            step=state.step,
            checkpoint=state.last_checkpoint,
            log=self._project.log_file.relative_to(self._project.root),
        ), err, wrap=True)  # fmt: skip
        self._count(state)
        if death.stop_signal and not (
            self._is_app and death.stop_signal == SIGINT
        ):  # which only pauses the app's run
            return None
        if is_foreground() and sys.stdin.isatty() and err.is_terminal:
            return self._ask(is_memory)
        return self._go_on_alone(is_memory)

    def _count(self, state: RunState) -> None:
        if state.last_checkpoint != self._checkpoint:
            self._checkpoint, self._deaths = state.last_checkpoint, 0
        self._deaths += 1

    def _ask(self, is_memory: bool) -> list[str] | None:
        advised = _(" (advised)") if is_memory or self._deaths > 1 else ""
        say(_("  r  go on from there"), err)
        half = _("  h  go on with half the micro-batch: the same steps in less memory")
        say(half + advised, err, wrap=True)
        say(_("  q  leave"), err)
        with single_keys() as next_key:
            while True:
                match next_key(_PATIENCE_S):
                    case "r":
                        return self._again(halve=False)
                    case "h":
                        return self._again(halve=True)
                    case "q" | "\x1b" | "\x04" | keys.CTRL_C:
                        return None

    def _go_on_alone(self, is_memory: bool) -> list[str] | None:
        if self._deaths > MOST_RESTARTS:
            text = ngettext(
                "It crashed {n} time without a new checkpoint; see: mqlora-tui report",
                "It crashed {n} times without a new checkpoint; see: mqlora-tui report",
                self._deaths,
            )
            say(text.format(n=self._deaths), err)
            return None
        halve = is_memory or self._deaths > 1
        say(_("Going on from there with half the micro-batch.") if halve else _("Going on from there."), err)
        return self._again(halve)

    def _again(self, halve: bool) -> list[str]:
        arguments = ["-C", str(self._project.root)]
        arguments += ["--go-on"] if self._is_app else ["train", "--resume"]
        arguments += self._world
        arguments += ["--half-micro-batch"] * halve
        return arguments + ["--json"] * self._as_json


def _world(arguments: Sequence[str]) -> list[str]:
    """Return those of the options of `train` that say which processes train together."""
    kept: list[str] = []
    for index, word in enumerate(arguments):
        if word in ("--ranks", "--hosts"):
            kept += arguments[index : index + 2]
        elif word == "--go-on-with-fewer" or word.startswith(("--ranks=", "--hosts=")):
            kept.append(word)
    return kept
