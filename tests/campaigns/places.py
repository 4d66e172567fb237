"""What is no plain file, in every place of a project: `python -m tests.campaigns.places`.

Every path of `Project`, of a checkpoint, of the adapter and of the base model is in turn
a named pipe, a link to a device without end, a folder, a socket, a link to nowhere and a link to
a file of somebody else's. Every command then has to end soon, with a documented exit code and, where it
refuses, one sentence; and that file has to stay as it is. With `--app` the app visits its places too.
"""

import argparse
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from engine.files import remove
from engine.project import Project
from engine.training.checkpoint_folders import checkpoint_folders
from tests.campaigns.bench import Bench, Try, pause_at, table
from tests.campaigns.commander import Commander, Ended
from tests.campaigns.common import Result, print_results
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
TRAINING = (("train",), ("train", "--restart"))
CHILDREN = (("fit",), ("verify-resume", "--steps", "6"), ("train", "--background"))
"""Commands that work in processes of their own, and so take longer."""
Command = tuple[str, ...]


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


def campaign(
    named: Sequence[str] = (),
    kinds: Sequence[str] = tuple(KINDS),
    commands: Sequence[Command] = (),
    app: bool = False,
) -> list[Result]:
    """Try every kind in every place with every command.

    Args:
        named: places; empty takes all.
        kinds: of what has a file's place.
        commands: empty takes all but those that work in processes of their own.
        app: also let the app visit its places.
    """
    with tempfile.TemporaryDirectory(prefix="mqlora-places-") as name:
        attack, made = Attack(Path(name)), list[Try]()
        try:
            for place in named or places(attack.paused):
                is_folder = places(attack.paused)[place].is_dir()
                for kind in kinds:
                    if kind == "folder" and is_folder:
                        continue
                    if commands:
                        made += attack.tries(place, kind, commands)
                    else:
                        made += attack.tries(place, kind, (*READING, TRAINING[0]))
                        made += attack.tries(place, kind, TRAINING[1:])
                    if app:
                        made.append(attack.visit(place, kind))
        finally:
            attack.close()
    return table(made)


def main() -> int:
    """Run the campaign from the command line; 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--place", action="append", default=[], help="one place, such as lock_file")
    parser.add_argument("--kind", action="append", choices=KINDS, help="of what is there")
    parser.add_argument("--children", action="store_true", help="only the commands that start processes")
    parser.add_argument("--app", action="store_true", help="let the app visit its places, too")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    commands = CHILDREN if options.children else ()
    results = campaign(options.place, options.kind or tuple(KINDS), commands, options.app)
    print_results("No plain file in every place", results, options.json)
    return int(any(row.survived < row.tries for row in results))


if __name__ == "__main__":
    sys.exit(main())
