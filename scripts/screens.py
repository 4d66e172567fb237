"""Renew the pictures of the app's screens, docs/screens/*.png, from the real app.

The project is one with a finished run of the built-in model that answered the questions of data/prompts.txt.
Where the folder has no run, sample, model and run are made in it: some 20 minutes on 2 quiet cores.

Usage (where the system's language is another, with MQLORA_LANG=en before it):
    python -m scripts.screens FOLDER            # every screen
    python -m scripts.screens FOLDER --only answers chat
"""

import argparse
import asyncio
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from engine.project import Project
from engine.training.state import RunState
from scripts.pictures import draw
from tests.support.fake_engine import shown
from tui.app.app import MqloraApp

from textual.pilot import Pilot

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "screens"
SIZES = ((80, 24), (120, 40))
QUESTION = "Que moeda circula na Itália?"
_RUN = ("max_steps=400", "eval_every=40", "save_every=40", "answers_percent=50")
_QUIET_S, _MOST_S = 2.0, 300.0
"""A screen is drawn that did not change for so long, or after the second at the latest."""

_AT_WORK = " …"
"""How what is said of work under way ends; a text that is cut has no space before it."""


@dataclass(frozen=True)
class Picture:
    """One screen: from the place where it is, by which keys."""

    name: str
    place: str
    keys: tuple[str, ...] = ()
    needs: str = ""
    """Shown once it is whole."""


ALL = (
    Picture("hardware", "1", needs="Ready for"),
    Picture("palette", "1", ("ctrl+p",)),
    Picture("models", "1", ("g",)),
    Picture("profile", "2"),
    Picture("form", "2", ("e",)),
    Picture("data", "3", needs="train.jsonl line"),
    Picture("xray", "3", ("x",)),
    Picture("train", "4"),
    Picture("answers", "4", ("w",)),
    Picture("report", "6"),
    Picture("export", "6", ("x",)),
    Picture("history", "7"),
    Picture("chat", "5", (*QUESTION, "enter"), needs="tok/s"),  # last: keys go to its text field
)


async def settled(pilot: Pilot[int], needs: str = "") -> None:
    """Wait until what is needed is shown and nothing changes any more.

    Raises:
        RuntimeError: that does not happen.
    """
    began = since = time.monotonic()
    before = ""
    while time.monotonic() - began < _MOST_S:
        await pilot.pause(0.1)
        now = shown(pilot.app)
        if now != before:
            before, since = now, time.monotonic()
        below = now.partition("\n")[2]  # a long name in the header is cut in the same way
        if needs in now and _AT_WORK not in below and time.monotonic() - since > _QUIET_S:
            return
    raise RuntimeError(f"{needs!r} is not shown:\n{before}")


async def take(project: Project, size: tuple[int, int], pictures: list[Picture]) -> None:
    """Open the app in one size and draw its screens."""
    app = MqloraApp(project)
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        for picture in pictures:
            await pilot.press(picture.place)
            await settled(pilot)
            await pilot.press(*picture.keys)
            await settled(pilot, picture.needs)
            path = PICTURES / f"{picture.name}-{size[0]}x{size[1]}.png"
            draw(app, path)
            print(path.relative_to(ROOT), f"{path.stat().st_size:,} bytes", flush=True)
            if picture.keys:
                await pilot.press("escape")
        app.exit(0)
    app.engine.close(timeout=5)


def train(project: Project) -> None:
    """Train in the folder, unless there is a finished run; an unfinished one is gone on with."""
    state = RunState.load(project.state_file)
    if state and state.status == "finished":
        return
    mqlora = [sys.executable, "-m", "tui", "-C", str(project.root)]
    subprocess.run([*mqlora, "demo"], check=True)
    settings = [] if state else ["--profile", "BALANCED", *(f"--set={value}" for value in _RUN)]
    subprocess.run([*mqlora, "train", *settings], check=True)
    subprocess.run([*mqlora, "plot"], check=True)


def main() -> int:
    """Draw what is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="of the project; its name is seen")
    parser.add_argument("--only", nargs="+", choices=[picture.name for picture in ALL], metavar="NAME")
    given = parser.parse_args()
    folder: Path = given.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    os.environ |= {"PYTHONPATH": str(ROOT), "TEXTUAL_ANIMATIONS": "none"}
    train(Project(folder))
    os.chdir(folder.parent)
    pictures = [picture for picture in ALL if not given.only or picture.name in given.only]
    for size in SIZES:
        asyncio.run(take(Project(Path(folder.name)), size, pictures))  # no path of this machine is seen
    return 0


if __name__ == "__main__":
    sys.exit(main())
