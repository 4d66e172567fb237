"""Standard streams as they are not meant to be.

Every command runs with each stream closed, full, or a pipe that nobody reads; in a locale without
letters; with hardly any file descriptors; and with arguments that are not UTF-8. It has to end with the
exit code that it has else, or with 1 and a sentence, or 141, and never speak of the unexpected. Where it
refuses, `--json` prints one object that says what is wrong and how to fix it.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from engine.project import Project
from tests.campaigns.bench import Try
from tests.campaigns.common import ROOT
from tests.support.tiny import RUN, tiny_project, train

LIMIT_S = 120.0
_BROKEN_PIPE = 141
_FULL = "/dev/full"
_PROGRAM = (sys.executable, "-m", "tui")
Command = tuple[str, ...]
ENDING = RUN.updated({"max_steps": 2, "eval_every": 0, "save_every": 0})


class Ended(NamedTuple):
    """How a command ended."""

    code: int | None
    """Its exit code; None where it had to be killed."""
    out: str
    err: str


COMMANDS: tuple[Command, ...] = (
    ("profiles",),
    ("profiles", "--json"),
    ("validate",),
    ("report",),
    ("report", "--json"),
    ("monitor", "--json"),
    ("plot",),
    ("chat", "--prompt", "Quanto?", "--max-tokens", "2"),
    ("chat",),
    ("demo", "--json"),
    ("--help",),
    ("train", "--restart"),
    ("train", "--restart", "--json"),
    ("check", "--json"),
    ("import", "table.csv", "--dry-run", "--prompt", "a", "--completion", "b"),
)
REFUSED: tuple[Command, ...] = (
    ("report",),
    ("monitor",),
    ("plot",),
    ("fit",),
    ("clean",),
    ("verify-resume",),
    ("chat", "--prompt", "x"),
    ("import", "nowhere.csv"),
    ("import", "nowhere.csv", "--dry-run"),
    ("train",),
    ("train", "--resume"),
    ("train", "--background"),
    ("train", "--set", "batch_size=x"),
    ("train", "--config", "nowhere.json"),
)
"""Commands that an empty project refuses."""
USAGE: tuple[Command, ...] = (
    ("report", "--nonsense"),
    ("nonsense",),
    ("chat", "--max-tokens", "x"),
    ("import",),
    ("train", "--set"),
    ("chat",),  # with --json, and no prompt
    ("train", "--resume", "--restart"),
)
ODD = os.fsdecode(b"odd \xff\x9b2J")
NOT_UTF8: tuple[Command, ...] = (
    ("chat", "--prompt", ODD),
    ("chat", "--prompt", ODD, "--base", "--json"),
    ("train", "--restart", "--set", f"model={ODD}"),
    ("train", "--set", f"{ODD}=1"),
    ("train", "--set", ODD),
    ("train", "--config", ODD),
    ("train", "--profile", ODD),
    ("import", ODD),
    ("import", "table.csv", "--dry-run", "--prompt", ODD, "--completion", "b"),
    (ODD,),
    ("report", f"--{ODD}"),
    ("-C", ODD, "report"),
)


def run(
    project: Project, command: Sequence[str], before: str = "", after: str = "", **variables: str
) -> Ended:
    """Run a command in a shell.

    Args:
        project: where.
        command: and its arguments.
        before: what the shell does first.
        after: redirections.
        variables: of the environment.
    """
    script = f'{before} exec "$@" {after}'
    with subprocess.Popen(
        ["sh", "-c", script, "sh", *_PROGRAM, "-C", str(project.root), *command],
        cwd=project.root,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", **variables},
    ) as process:
        try:
            out, err = process.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return Ended(None, "", "")
    return Ended(process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))


def unread(project: Project, command: Sequence[str]) -> Ended:
    """Run a command whose output is a pipe that nobody reads any more."""
    reading, writing = os.pipe()
    os.close(reading)
    with tempfile.TemporaryFile() as errors:
        done = subprocess.run(
            [*_PROGRAM, "-C", str(project.root), *command],
            cwd=project.root,
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=errors,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
            timeout=LIMIT_S,
            check=False,
        )
        os.close(writing)
        errors.seek(0)
        return Ended(done.returncode, "", errors.read().decode("utf-8", "replace"))


def said_badly(ended: Ended) -> list[str]:
    """Return what is wrong with what a command said."""
    said = ended.out + ended.err
    odd = [word for word in ("unexpected", "Traceback", "Exception ignored", "at a defect") if word in said]
    faults = [f"says {said.strip()[-160:]!r}" for _word in odd[:1]]
    return faults + ([] if ended.code is not None else [f"no end within {LIMIT_S:.0f} s"])


def not_told_as_json(ended: Ended, code: int) -> list[str]:
    """Return what is wrong with a refusal that was asked for as JSON."""
    faults = said_badly(ended) + ([] if ended.code == code else [f"exit code {ended.code}"])
    try:
        error: dict[str, Any] = json.loads(ended.out.splitlines()[-1])["error"]
        good = set(error) == {"problem", "fix"} and all(isinstance(text, str) for text in error.values())
        faults += [] if good and error["problem"] else [f"says {error}"]
    except (ValueError, LookupError, TypeError):
        faults.append(f"no error in {ended.out[-100:]!r}")
    return faults


class Streams:
    """A finished run, an empty project, and the exit codes of commands that nobody disturbs."""

    def __init__(self, folder: Path) -> None:
        """Make both in `folder`."""
        self.project = tiny_project(folder / "project")
        train(self.project, ENDING)
        (self.project.root / "table.csv").write_text("a,b\nx,y\n")
        self._expected: dict[Command, int | None] = {}
        self.empty = Project(folder / "empty")
        self.empty.root.mkdir()

    def judged(self, command: Command, case: str, ended: Ended, codes: Callable[[int], set[int]]) -> Try:
        """Compare how a command ended with how it ends when nobody disturbs it."""
        if command not in self._expected:
            self._expected[command] = run(self.project, command).code
        expected = self._expected[command]
        faults = said_badly(ended)
        if ended.code not in codes(expected if expected is not None else -1):
            faults.append(f"exit code {ended.code}, else {expected}: {ended.err.strip()[-160:]}")
        elif ended.code == 1 and expected == 0 and "; " not in ended.err and "2>" not in case:
            faults.append(f"no sentence: {ended.err.strip()[-160:]!r}")
        return _try(case, command, faults)

    def spoilt(self, command: Command) -> Iterator[Try]:
        """Run a command with every stream spoilt in turn."""
        is_training = command[0] == "train"  # which goes on whatever becomes of its output
        for after in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-", f"2>{_FULL}"):
            yield self.judged(command, after, run(self.project, command, after=after), lambda code: {code})
        for after in (f">{_FULL}", f">{_FULL} 2>{_FULL}"):
            ended = run(self.project, command, after=after)
            yield self.judged(command, after, ended, lambda code: {code if is_training else 1})
        if command != ("chat",):  # which is asked nothing, and so says nothing
            ended = unread(self.project, command)
            yield self.judged(command, "| nobody", ended, lambda _code: {_BROKEN_PIPE})
        plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
        yield self.judged(command, "LC_ALL=C", run(self.project, command, **plain), lambda code: {code})
        few = run(self.project, command, before="ulimit -n 12;")
        yield self.judged(command, "ulimit -n 12", few, lambda code: {code, 1})

    def refused(self) -> Iterator[Try]:
        """Let commands refuse as JSON what cannot be done, and what is no command."""
        for command in REFUSED:
            yield _try("--json, refused", command, not_told_as_json(run(self.empty, _json(command)), 1))
        for command in USAGE:
            yield _try("--json, usage", command, not_told_as_json(run(self.project, _json(command)), 2))

    def not_utf8(self) -> Iterator[Try]:
        """Hand over arguments that are not UTF-8."""
        for command in NOT_UTF8:
            ended = run(self.project, command)
            faults = said_badly(ended) + ([] if ended.code in (1, 2) else [f"exit code {ended.code}"])
            yield _try("not UTF-8", command, faults)


def _json(command: Command) -> Command:
    return (command[0], "--json", *command[1:])


def _try(case: str, command: Command, faults: list[str]) -> Try:
    named = tuple(f"{' '.join(command)!a}: {fault}" for fault in faults)
    for fault in named:
        print(f"FAILED {case}: {fault}", file=sys.stderr, flush=True)
    return Try(case, named)
