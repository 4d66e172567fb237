"""Files of an older and of a later version.

A paused run gets its files as another version might have written them: whole, their checksums right,
with another format number or more in them. Every command has to understand them or to refuse them in a
sentence; none may call them damaged, go on from something older, delete or change them. What the version
before this one wrote is understood by all.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from engine.project import Project
from engine.training.checkpoint_folders import checkpoint_folders
from engine.training.checksums import STATE, read_state, sealed
from tests.campaigns.bench import Try, table
from tests.campaigns.common import Result
from tests.campaigns.streams import Command, Ended, run, said_badly
from tests.support.moments import step_done
from tests.support.tiny import RUN, files_below, tiny_project, train

COMMANDS: tuple[Command, ...] = (
    ("train",),
    ("train", "--resume"),
    ("report",),
    ("report", "--json"),
    ("monitor", "--json"),
    ("plot",),
    ("validate",),
    ("check", "--json"),
    ("profiles",),
    ("chat", "--prompt", "Quanto?", "--max-tokens", "2"),
)
Values = dict[str, Any]
Change = Callable[[Values], Values]
_WRITING = ("train",)
_READERS = {
    "state.json": ("train",),
    "training_state.json": ("train", "report", "monitor", "plot"),
    "config_selected.json": ("train", "validate", "check", "profiles"),
}
"""Commands that have to say it where a file is of a later version."""


def _without_number(values: Values) -> Values:
    return {key: value for key, value in values.items() if key not in ("format", "run")}


OLDER: dict[str, Change] = {"no number": _without_number, "format 1": lambda v: {**v, "format": 1}}
LATER: dict[str, Change] = {
    "format 3": lambda v: {**v, "format": 3},
    "format 3, more": lambda v: {**v, "format": 3, "sampler": {"kind": "new"}},
    "a format that is text": lambda v: {**v, "format": "2027"},
}
MORE: dict[str, Change] = {"a key more": lambda v: {**v, "sampler": {"kind": "new"}}}


def campaign(is_short: bool) -> list[Result]:
    """Run every command on every file of every version; the short form trains with files of a later one."""
    commands = COMMANDS[:1] if is_short else COMMANDS
    older, later, more = ({}, dict(islice(LATER.items(), 1)), {}) if is_short else (OLDER, LATER, MORE)
    with tempfile.TemporaryDirectory() as name:
        paused = tiny_project(Path(name) / "paused")
        train(paused, RUN.updated({"num_epochs": 1}), until=step_done(4))
        return [
            *table(_tries(paused, older, commands, is_known=True)),
            *table(_tries(paused, later, commands, is_known=False)),
            *table(_tries(paused, more, commands, is_known=None)),
        ]


def _tries(
    paused: Project, versions: dict[str, Change], commands: Sequence[Command], is_known: bool | None
) -> Iterator[Try]:
    for file in ("state.json", "training_state.json", "config_selected.json"):
        for version, change in versions.items():
            for command in commands:
                with tempfile.TemporaryDirectory() as name:
                    project = Project(Path(name) / "project")
                    shutil.copytree(paused.root, project.root)
                    rewrite(project, file, change)
                    yield judge(project, command, file, version, is_known)


def rewrite(project: Project, file: str, change: Change) -> None:
    """Write a file of a run as another version might have; the checksum of a checkpoint is right again."""
    if file != STATE:
        path = project.run_dir / file
        path.write_text(json.dumps(change(json.loads(path.read_text()))))
        return
    for folder in checkpoint_folders(project.run_dir):
        state = read_state(folder)
        assert state is not None
        (folder / STATE).write_text(json.dumps(sealed(change(state))))


def judge(project: Project, command: Command, file: str, version: str, is_known: bool | None) -> Try:
    """Run a command and see whether it kept its promises.

    Args:
        project: where.
        command: and its arguments.
        file: that is of another version.
        version: in words.
        is_known: whether it has to be understood, or refused; None where either will do.
    """
    before = files_below(project.run_dir)
    ended = run(project, command)
    faults = [*said_badly(ended)]
    if "damaged" in ended.out + ended.err:
        faults.append("calls it damaged")
    if is_known and ended.code != 0:
        faults.append(f"exit {ended.code}: {_last(ended)}")
    after = files_below(project.run_dir)
    if command[0] not in _WRITING or ended.code != 0:
        faults += [f"{name} is gone or changed" for name in before if _differs(name, before, after)]
    if is_known is False and command[0] in _READERS[file] and "another version" not in ended.out + ended.err:
        faults.append("says nothing of it")
    return Try(f"{file}, {version}", tuple(f"{' '.join(command)}: {fault}" for fault in faults))


def _differs(name: str, before: dict[str, bytes], after: dict[str, bytes]) -> bool:
    # Who holds the run writes its name there, and pictures are drawn again.
    return name != ".lock" and not name.endswith(".png") and before[name] != after.get(name)


def _last(ended: Ended) -> str:
    lines = (ended.err or ended.out).strip().splitlines()
    return lines[-1] if lines else ""
