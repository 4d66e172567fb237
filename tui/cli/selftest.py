"""`selftest`: what engine/selftest tries, as it is shown on the terminal, and the text for a bug report."""

import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import asdict, replace
from typing import Any

from engine.i18n import _, number
from engine.project import Project
from engine.sanitize import one_line
from engine.selftest.bug_report import private_words, system_facts, without
from engine.selftest.part import Begun, Trial
from engine.selftest.run import PARTS, selftest
from engine.symbols import SYMBOLS
from engine.units import duration
from engine.verify.child import Launcher
from tui.cli.verify import launcher
from tui.console import err, print_json, quote, say
from tui.respawn import SUPERVISED
from tui.terminal.signals import PAUSING, clean_up_on_signals

from rich.cells import cell_len

_MARKS = {**SYMBOLS, "skipped": "-"}
_FRAMES_PER_S = 4


def try_machine(project: Project, model: str, as_json: bool) -> int:
    """Try all parts, tell what came of each, and return 0 if none failed, else 1.

    Raises:
        UserError: the project has no such base model.
    """
    clean_up_on_signals(PAUSING)
    begin, unsupervised = time.monotonic(), launcher()
    trials: list[Trial] = []
    with closing(selftest(project, unsupervised, _supervised(unsupervised), model, PARTS)) as events:
        for trial in _watched(events):
            trials.append(trial)
            if not as_json:
                say(line_of(trial))
    seconds, facts = time.monotonic() - begin, system_facts()
    failed = sum(trial.status == "error" for trial in trials)
    report = without(report_of(facts, trials, seconds), private_words(project.root))
    if as_json:
        print_json(_as_json(facts, trials, seconds, report))
    else:
        say("\n" + _verdict(failed, len(trials), seconds))
        say(_("For a bug report, copy what follows:") + "\n")
        quote(report)  # commands in it stay as they are: made ready to be pasted they would name folders
    return 1 if failed else 0


def line_of(trial: Trial) -> str:
    """Return a part on one line: symbol, name, figure and seconds, and what is wrong with it."""
    check = trial.check
    texts = [check.value, check.detail, check.fix]
    label = check.label + " " * max(0, _width() - cell_len(check.label))
    figure = one_line("; ".join(text for text in texts if text), 400)
    return f"{_MARKS[trial.status]} {label}  {figure}  {number(trial.seconds, '.1f')} s"


def report_of(facts: dict[str, str], trials: list[Trial], seconds: float) -> str:
    """Return the text for a bug report: the machine, then each part's line."""
    machine = [f"{name}: {value}" for name, value in facts.items()]
    return "\n".join(["mqlora-tui selftest", *machine, f"{seconds:.0f} s", *map(line_of, trials)])


def _width() -> int:
    return max(cell_len(part.label()) for part in PARTS)


def _supervised(unsupervised: Launcher) -> Launcher:
    """Return how a user starts this program."""
    environment = {name: value for name, value in unsupervised.environment.items() if name != SUPERVISED}
    return replace(unsupervised, environment=environment)


def _watched(events: Generator[Begun | Trial, None, None]) -> Generator[Trial, None, None]:
    """Pass on what came of each part; on a terminal say meanwhile which one is tried."""
    status = err.status("", refresh_per_second=_FRAMES_PER_S) if err.is_terminal else None
    try:
        for item in events:
            if isinstance(item, Trial):
                if status:
                    status.stop()  # its line belongs to the result now
                yield item
            elif status:
                status.update(_begun(item))
                status.start()
    finally:
        if status:
            status.stop()


def _begun(part: Begun) -> str:
    return _("{n} of {total}: {part}, at most {limit} …").format(
        n=part.number, total=part.total, part=part.label, limit=duration(part.limit_s)
    )


def _verdict(failed: int, total: int, seconds: float) -> str:
    if not failed:
        return _("✓ Nothing failed, {seconds:.0f} s.").format(seconds=seconds)
    return _("✗ {n} of {total} failed, {seconds:.0f} s.").format(n=failed, total=total, seconds=seconds)


def _as_json(facts: dict[str, str], trials: list[Trial], seconds: float, report: str) -> dict[str, Any]:
    parts = [{**asdict(trial.check), "status": trial.status, "seconds": trial.seconds} for trial in trials]
    passed = all(trial.status != "error" for trial in trials)
    return {"passed": passed, "seconds": seconds, "machine": facts, "parts": parts, "report": report}
