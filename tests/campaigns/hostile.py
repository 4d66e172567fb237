"""Hostile text in every place that has a name or a text: nothing of it may steer the terminal.

Every try draws the tricks in another order. Each command runs on pipes and on a terminal, the
app on a terminal, and every byte that comes out is looked at, as are the files of the run.
"""

import contextlib
import io
import os
import re
import signal
import subprocess
import sys
import tempfile
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from tests.campaigns.bench import Try, table
from tests.campaigns.common import ROOT, Result
from tests.campaigns.hostile_project import BREAKS, HostileProject, broken_model, make_project
from tests.support.terminal import Terminal

_JOINERS = "\u200c\u200d"
# What rich draws colours and a progress bar with, and textual its screens (OSC 22: the mouse pointer); around
# the terminal's title there is OSC 2, and what is in it is looked at.
_LINE = re.compile(r"\x1b\[[\d;]*m|\x1b\[\?25[lh]|\x1b\[[12]?[AK]|\r")
_SCREEN = re.compile(
    r"\x1b\]22;\w*\x07|\x1b\]2;|\x1b\\|\x1b\[[\d;]*[mHABCDKtuq]|\x1b\[[?>=<][\d;$]*[hlpu]|\x1b\[J|\r"
)
_CHAT = ("--max-tokens", "80", "--temperature", "5")


class Outcome(NamedTuple):
    """What a command left: its exit code, and all that it wrote."""

    code: int
    written: bytes


class Case(NamedTuple):
    """One command and the exit codes that are right for it."""

    name: str
    arguments: list[str]
    codes: tuple[int, ...] = (0,)


Runner = Callable[[Sequence[str]], Outcome]
FILES = "files of the run"


def harmless(written: bytes, allowed: re.Pattern[str] | None = None) -> bool:
    """Whether `written` is UTF-8 and, less the `allowed` sequences, has no control or hidden character."""
    try:
        text = written.decode("utf-8")
    except UnicodeDecodeError:
        return False
    plain = allowed.sub("", text) if allowed else text
    odd = {char for char in plain if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
    return odd <= {"\n", "\t", *_JOINERS} and "Traceback" not in text


def in_process(arguments: Sequence[str]) -> Outcome:
    """Run the command line in this process: quick, for tests."""
    from tui.cli.main import main

    text = io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["mqlora-tui", *arguments]),
        contextlib.redirect_stdout(text),
        contextlib.redirect_stderr(text),
    ):
        code = main()
    return Outcome(code, text.getvalue().encode("utf-8", "surrogateescape"))


def on_pipe(arguments: Sequence[str]) -> Outcome:
    """Run the program with its output in a pipe."""
    done = subprocess.run(
        [sys.executable, "-m", "tui", *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        check=False,
    )
    return Outcome(done.returncode, done.stdout)


def on_terminal(arguments: Sequence[str]) -> Outcome:
    """Run the program on a terminal of its own."""
    terminal = Terminal(*arguments)
    return Outcome(terminal.wait(), terminal.output)


def commands(hostile: HostileProject) -> Iterator[Case]:
    """Yield the commands in an order in which each finds what it needs; the models are broken last."""
    json, train = ["--json"], ["train", "--config", str(hostile.config)]
    for command in ("check", "profiles", "validate"):
        yield from (Case("looking", [command, *form], (0, 1)) for form in ([], json))
    yield from (Case("training", [*train, *form]) for form in ([], ["--restart", *json]))
    for command in ("monitor", "plot", "report"):
        yield from (Case("reading a run", [command, *form]) for form in ([], json))
    for form in ([], json):
        yield Case("what the model says", ["chat", "--prompt", hostile.text("ask"), *_CHAT, *form])
    yield from (Case("wrong usage", wrong, (1, 2)) for wrong in _mistakes(hostile.text))
    for how in BREAKS:
        with broken_model(hostile, how):
            yield from (
                Case("broken model", other, (0, 1)) for other in ([*train, "--restart"], ["profiles"])
            )


def _mistakes(text: Callable[[str], str]) -> list[list[str]]:
    return [
        [text("command")],
        ["train", f"--{text('option')}"],
        ["train", "--config", text("missing")],
        ["train", "--set", text("assignment")],
        ["train", "--set", f"{text('key')}=1"],
        ["train", "--set", f"batch_size={text('value')}"],
        ["train", "--restart", "--set", f"model={text('name')}"],
        ["train", "--profile", text("profile")],
        ["train", "--resume", "--json"],
        ["chat", "--prompt", "x", "--max-tokens", text("number")],
        ["report", text("extra")],
        ["-C", text("folder"), "check"],
        ["-C", os.fsdecode(b"not UTF-8 \x9b2J"), "check"],
    ]


def attack(hostile: HostileProject, run: Runner, allowed: re.Pattern[str] | None = None) -> Iterator[Try]:
    """Run every command in a project, then look at the files of the run."""
    for case in commands(hostile):
        outcome = run(["-C", str(hostile.project.root), *case.arguments])
        faults = [] if outcome.code in case.codes else [f"exit code {outcome.code}"]
        faults += [] if harmless(outcome.written, allowed) else ["it steers the terminal"]
        if faults:
            print(f"FAILED {case}: {outcome}", file=sys.stderr)
        yield Try(case.name, tuple(f"{' '.join(case.arguments)!a}: {fault}" for fault in faults))
    for path in hostile.project.run_dir.rglob("*"):
        if path.suffix in (".json", ".csv", ".log"):
            yield Try(FILES, () if harmless(path.read_bytes()) else (f"{path.name!a}",))


def visit_places(hostile: HostileProject) -> Try:
    """Open the app and go through every place and dialog of it; every byte must be the app's own."""
    terminal = Terminal("-C", str(hostile.project.root), columns=120, rows=40)
    try:
        for keys, shown in _visits(hostile.text("pasted")):
            terminal.press(keys)
            terminal.wait_for(shown)
        code = terminal.wait()
        faults = [] if code == 0 else [f"exit code {code}"]
        faults += [] if harmless(terminal.output, _SCREEN) else ["it steers the terminal"]
    except AssertionError as error:  # something never came
        terminal.signal(signal.SIGKILL)
        terminal.wait()
        faults = [ascii(str(error))]
    return Try("the app's places", tuple(faults))


def _visits(text: str) -> Iterator[tuple[str, str]]:
    """Yield keys, and what the screen shows after them and nowhere before."""
    # A terminal takes the control characters out of what is pasted.
    paste = f"\x1b[200~{''.join(char for char in text if char >= ' ')}\x1b[201~"
    yield "", "120x40"
    yield "?", "Everywhere"
    yield "?", "120x40"
    yield "2", "What the words mean"
    yield "e", "Every value of the run"
    yield "\x13", "What the words mean"
    yield "3", "Ready to train."
    yield "o", "valid.jsonl line 1"
    yield "/", "kind, words, file or line"
    yield paste, "0 of"
    yield "\r", "Go on"
    yield "x", "not trained"
    yield "t", "+"  # ids of tokens that share a character
    yield "g", "Enter goes there"
    yield "4\r", "line 4. "
    yield "x", "Go on"
    yield "p", "1 of"
    yield "n", "2 of"
    yield "p", "Go on"
    yield "4", "Mean loss per epoch"
    yield "6", "Where validation was lowest"
    yield "c", "★ best"
    yield "c", "Where validation was lowest"
    yield "5", "Ask something"
    yield paste, "pasted"
    yield "\r", "tok/s"
    yield "\x10", "Where to?"
    yield paste, "is called so"
    yield "\x11", ""


class Way(NamedTuple):
    """How the program is run."""

    name: str
    run: Runner
    allowed: re.Pattern[str] | None = None
    """What a command may send there."""


IN_PROCESS, PIPE, TERMINAL = (
    Way("process", in_process),
    Way("pipe", on_pipe),
    Way("terminal", on_terminal, _LINE),
)


def campaign(way: Way, tries: int, seed: int) -> list[Result]:
    """Attack `tries` projects, each with its tricks in another order; on a terminal in the app, too."""
    made: list[Try] = []
    for number in range(seed, seed + tries):
        with tempfile.TemporaryDirectory() as folder:
            hostile = make_project(Path(folder), number)
            made += attack(hostile, way.run, way.allowed)
            if way is TERMINAL:
                made.append(visit_places(hostile))
    return table(replace(one, case=f"{one.case}, {way.name}") for one in made)
