"""What is no plain file, in every place of a project.

Every path of `Project`, of a checkpoint, of the adapter and of the base model is in turn
a named pipe, a link to a device without end, a folder, a socket, a link to nowhere and a link to
a file of somebody else's. Every command then has to end soon, with a documented exit code and, where it
refuses, one sentence; and that file has to stay as it is. The app has to show its places and be left.
"""

import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path

from engine.files import remove
from engine.project import Project
from engine.training.checkpoint_folders import checkpoint_folders
from tests.campaigns.bench import Bench, Try, pause_at, table
from tests.campaigns.commander import Commander, Ended
from tests.campaigns.common import Result
from tests.support.terminal import Terminal

_FOREIGN = b"somebody else's\n"


def _link_to_foreign(path: Path) -> None:
    path.symlink_to(_foreign(path))


def _foreign(path: Path) -> Path:
    """Return a file outside of the project that `path` is in."""
    root = next(folder for folder in path.parents if (folder / ".foreign").exists())
    return root / ".foreign"


def make_socket(path: Path) -> None:
    """Leave a socket at a path, however long that is."""
    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as made:
        made.bind(f"{short}/s")
        os.rename(f"{short}/s", path)


KINDS: dict[str, Callable[[Path], None]] = {
    "named pipe": lambda path: os.mkfifo(path),
    "link to /dev/zero": lambda path: path.symlink_to("/dev/zero"),
    "folder": lambda path: path.mkdir(),
    "socket": make_socket,
    "link to nowhere": lambda path: path.symlink_to("nowhere/at all"),
    "link to a foreign file": _link_to_foreign,
}
READING = (
    ("check", "--json"),
    ("check",),
    ("profiles",),
    ("validate",),
    ("monitor", "--json"),
    ("report",),
    ("report", "--json"),
    ("plot",),
    ("chat", "--prompt", "Quanto?", "--max-tokens", "2"),
    ("clean",),
    ("import", "data/train.jsonl"),
    ("demo",),
)
Command = tuple[str, ...]
EVERY: tuple[tuple[Command, ...], ...] = ((*READING, ("train",)), (("train", "--restart"),))
"""All commands but those of `CHILDREN`; the last one meets a copy of its own."""
CHILDREN: tuple[tuple[Command, ...], ...] = (
    (("fit",), ("verify-resume", "--steps", "6"), ("train", "--background")),
)
"""Commands that work in processes of their own, and so take longer."""


def places(project: Project) -> dict[str, Path]:
    """Return every path of a project with a run that has one, by what it is called here."""
    names = sorted(name for name, value in vars(Project).items() if isinstance(value, property))
    found: dict[str, Path] = {name: getattr(project, name) for name in names}
    model, newest = project.model_dir(""), checkpoint_folders(project.run_dir)[0]
    found |= {"model": model, "checkpoint": newest, "handover": project.run_dir / "handover.json"}
    found |= {f"model/{path.name}": path for path in sorted(model.iterdir())}
    found |= {f"model/{name}": model / name for name in ("chat_template.jinja", "added_tokens.json")}
    found |= {f"checkpoint/{path.name}": path for path in sorted(newest.iterdir())}
    found["adapter_config.json"] = project.adapters_dir / "adapter_config.json"
    return found


class Attack:
    """A paused run whose places are spoilt in copies, and the commands that meet them."""

    def __init__(self, folder: Path) -> None:
        """Make the run in `folder`."""
        self._bench = Bench(folder)
        self.paused = self._bench.copy()
        self._bench.sit(self.paused, pause_at(7))
        self.paused.prompts_file.write_text("Quanto?\n")
        (folder / ".foreign").write_bytes(_FOREIGN)
        self._folder = folder
        self._commander = Commander()

    def close(self) -> None:
        """End the process that the commands ran in."""
        self._commander.close()

    @contextmanager
    def spoilt(self, place: str, kind: str) -> Iterator[Project]:
        """Give a copy of the project with something of a kind in a place of it."""
        project = self._bench.copy(source=self.paused)
        path = places(project)[place]
        remove(path)
        KINDS[kind](path)
        try:
            yield project
        finally:
            shutil.rmtree(project.root)

    def tries(self, place: str, kind: str, commands: Sequence[Command]) -> Iterator[Try]:
        """Let commands meet something of a kind in a place."""
        with self.spoilt(place, kind) as project:
            for command in commands:
                words = [str(project.root / part) if part.startswith("data/") else part for part in command]
                ended = self._commander.run(["-C", str(project.root), *words])
                faults = [*faults_of(ended), *self._foreign_faults()]
                named = tuple(f"{' '.join(command)}, {place}: {fault}" for fault in faults)
                for fault in named:
                    print(f"FAILED {kind}: {fault}", file=sys.stderr, flush=True)
                yield Try(kind, named)

    def visit(self, place: str, kind: str) -> Try:
        """Let the app meet it: every place is opened, and the app left."""
        with self.spoilt(place, kind) as project:
            terminal = Terminal("-C", str(project.root))
            faults = []
            try:
                for key, shown in _VISITS:
                    terminal.press(key)
                    terminal.wait_for(shown)
                code = terminal.wait()
                faults = [] if code == 0 else [f"exit code {code}"]
            except AssertionError as error:
                terminal.signal(signal.SIGKILL)
                terminal.wait()
                faults = [f"{place}: {str(error)[:200]}"]
            return Try(f"app, {kind}", (*faults, *self._foreign_faults()))

    def _foreign_faults(self) -> list[str]:
        path = self._folder / ".foreign"
        if path.read_bytes() == _FOREIGN:
            return []
        path.write_bytes(_FOREIGN)
        return ["the foreign file was written to"]


_VISITS = (("", "copy"), ("1", "1 Hardware"), ("2", "2 Profile"), ("3", "3 Data"), ("4", "4 Train"),
           ("6", "6 Report"), ("5", "5 Chat"), ("\x11", ""))  # fmt: skip


Meeting = Callable[[Attack, str, str], Iterator[Try]]
"""What meets something of a kind in a place, given as attack, place and kind."""


def faults_of(ended: Ended) -> list[str]:
    """Return what is wrong with how a command ended."""
    if ended.code is None:
        return [ended.err]
    said = ended.out + ended.err
    odd = [word for word in ("unexpected", "Traceback", "MemoryError", "at a defect") if word in said]
    faults = [f"says {said.strip()[-200:]!r}" for _word in odd[:1]]
    if ended.code not in (0, 1):
        faults.append(f"exit code {ended.code}")
    if ended.code == 1 and not said.strip():
        faults.append("refused without a word")
    return faults


def with_commands(*groups: Sequence[Command]) -> Meeting:
    """Return what lets each group of commands meet a copy of its own."""

    def meet(attack: Attack, place: str, kind: str) -> Iterator[Try]:
        for commands in groups:
            yield from attack.tries(place, kind, commands)

    return meet


def with_app(attack: Attack, place: str, kind: str) -> Iterator[Try]:
    """Let the app meet it."""
    yield attack.visit(place, kind)


def campaign(meet: Meeting, kinds: Sequence[str], named: Sequence[str] = ()) -> list[Result]:
    """Put every kind in every place, or in those that are named, and let a project with it be met."""
    with tempfile.TemporaryDirectory(prefix="mqlora-places-") as name:
        attack, made = Attack(Path(name)), list[Try]()
        try:
            for place, kind in product(named or places(attack.paused), kinds):
                if not (kind == "folder" and places(attack.paused)[place].is_dir()):
                    made += meet(attack, place, kind)
        finally:
            attack.close()
    return table(made)
