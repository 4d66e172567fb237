"""Record a tour of the app as docs/screens/tour.cast: the real program and model, typed at by this script.

The recording is in asciicast v2 (asciinema's documentation: a header, then `[seconds, "o", text]` a line).
Pauses are cut to a second, and what takes long is shown as many times faster as its title says. The project
lies in a home folder of its own, so that no path of this machine is seen.

Usage:
    python -m scripts.tour                    # downloads the built-in model, if pip has not kept it
    python -m scripts.tour models/NAME        # takes a copy of that folder
"""

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from codecs import getincrementaldecoder
from itertools import accumulate
from pathlib import Path

from engine.config import TrainingConfig
from engine.profiles import profile_config
from engine.project import Project
from scripts.redraw import redrawn
from tests.support import terminal as terminals
from tests.support.terminal import Terminal

ROOT = Path(__file__).parents[1]
CAST = ROOT / "docs" / "screens" / "tour.cast"
COLUMNS, ROWS = 100, 30
MOST_SECONDS, MOST_BYTES = 180, 300_000
LONGEST_PAUSE_S = 1.0
_FASTER = 10
"""So much faster is shown what the machine needs its time for."""
ESCAPE = "\x1b[27u"
"""As it is written where it cannot be mistaken for the begin of another key."""
_QUESTION = "Qual é a capital de Portugal?"
_SETTINGS = {
    "max_steps": 32,
    "learning_rate": 1e-3,
    "eval_every": 8,
    "save_every": 16,
    "answers_percent": 100,
}
_VALID_ROWS, _QUESTIONS = 12, 2
_SAVING = {"TEXTUAL_FPS": "5", "OPENBLAS_NUM_THREADS": "1"}


class Recorder(Terminal):
    """A terminal that remembers what was written and when."""

    def __init__(self) -> None:
        self.events: list[tuple[float, str]] = []
        """Seconds after the event before, and what was written."""
        self.speed = 1
        """How many times faster what follows is shown."""
        self._decode = getincrementaldecoder("utf-8")("replace").decode
        self._last = time.monotonic()
        super().__init__("--lang", "en", columns=COLUMNS, rows=ROWS)

    def take(self, data: bytes) -> None:
        """Remember it too."""
        now = time.monotonic()
        if text := self._decode(data):
            self.events.append((min((now - self._last) / self.speed, LONGEST_PAUSE_S), text))
            self._last = now
        super().take(data)

    def look(self, text: str, seconds: float = 1.0) -> None:
        """Wait until something is shown, and let it be read."""
        self.wait_for(text)
        self.speed = 1
        time.sleep(seconds)

    def type(self, text: str) -> None:
        """Press one key after another, as people do."""
        for key in text:
            self.press(key)
            time.sleep(0.08)


def tour(terminal: Recorder) -> None:
    """Go through the places, from a machine that was never looked at to a run in the history."""
    _prepare_and_start(terminal)
    _watch_answers(terminal)
    _chat(terminal)
    terminal.press("6")
    terminal.look("Mean training loss", 2)
    terminal.press("7")
    terminal.look("present", 2)
    terminal.press("q")
    assert terminal.wait() == 0, terminal.text


def _prepare_and_start(terminal: Recorder) -> None:
    """Machine, profile, data, and the run begins."""
    terminal.look("Ready for")
    terminal.press("\r")
    terminal.look("is recommended", 1.5)
    terminal.press("\r")
    terminal.speed = _FASTER
    terminal.look("tokens", 1.5)
    terminal.press("x")
    terminal.look("Esc")
    terminal.press(ESCAPE)
    terminal.look("Enter Go on")
    terminal.press("4")
    terminal.look("Enter Start")
    terminal.press("\r")


def _watch_answers(terminal: Recorder) -> None:
    """Beside the base model's, while the run trains and when it is finished."""
    terminal.speed = _FASTER
    terminal.wait_for("step 10/")
    terminal.press("w")
    terminal.look("base model", 2)
    terminal.speed = _FASTER
    terminal.wait_for("16◂")
    terminal.look("16◂", 2)
    terminal.press(ESCAPE)
    terminal.speed = _FASTER
    terminal.look("✓ finished", 2)
    terminal.press("w")
    terminal.look("32◂", 2)
    terminal.press("n")
    terminal.look("Question 2", 2)
    terminal.press(ESCAPE)


def _chat(terminal: Recorder) -> None:
    """Ask the trained model and the base model the same."""
    terminal.look("Enter Chat")
    terminal.press("\r")
    terminal.speed = _FASTER
    terminal.look("Ask something")
    terminal.press("\x02")  # the base model beside
    terminal.type(_QUESTION + "\r")
    terminal.speed = _FASTER
    terminal.wait_until(lambda: terminal.text.count("tok/s") >= 2, "both replies")
    terminal.look("tok/s", 2)
    terminal.press(ESCAPE)


def prepare(project: Project, model: Path | None) -> None:
    """Write model, data and a configuration that a few minutes are enough for."""
    if model:
        shutil.copytree(model, project.models_dir / model.name)
    mqlora = [sys.executable, "-m", "tui", "-C", str(project.root)]
    subprocess.run([*mqlora, "demo"], check=True, stdout=subprocess.DEVNULL)
    for file, count in ((project.valid_file, _VALID_ROWS), (project.prompts_file, _QUESTIONS)):
        file.write_text("".join(file.read_text("utf-8").splitlines(keepends=True)[:count]), "utf-8")
    project.run_dir.mkdir()
    name = next(project.models_dir.iterdir()).name
    config = profile_config("BALANCED", TrainingConfig(model=name))
    config.updated(_SETTINGS).save(project.config_file)


def cast(events: list[tuple[float, str]]) -> str:
    """Return a recording in asciicast v2."""
    header = {
        "version": 2,
        "width": COLUMNS,
        "height": ROWS,
        "idle_time_limit": LONGEST_PAUSE_S,
        "title": f"mqlora-tui; loading, training and replies are shown {_FASTER} times as fast",
        "env": {"TERM": "xterm-256color"},
    }
    times = accumulate(pause for pause, _text in events)
    timed = zip(times, (text for _pause, text in events), strict=True)
    frames = ([round(time, 3), "o", text] for time, text in redrawn(timed, COLUMNS, ROWS))
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in (header, *frames))


def faults(recording: str) -> list[str]:
    """Return why a recording is not to be published, in words."""
    seconds = json.loads(recording.splitlines()[-1])[0]
    found = [f"it takes {seconds:.0f} s"] if seconds > MOST_SECONDS else []
    if (size := len(recording.encode())) > MOST_BYTES:
        found.append(f"it has {size:,} bytes")
    names = {socket.gethostname(), str(ROOT), tempfile.gettempdir(), str(Path.home()), sys.prefix}
    named = [name for name in sorted(names) if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", recording)]
    return found + [f"it names {name}" for name in named]


def main() -> int:
    """Record, and keep what may be published; else say what is wrong with it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model", type=Path, nargs="?", help="folder of a base model")
    model: Path | None = parser.parse_args().model
    model = model and model.absolute()
    terminals.LIMIT_S = 1800.0
    with tempfile.TemporaryDirectory() as home:
        project = Project(Path(home) / "farense")
        project.root.mkdir()
        os.environ |= {"HOME": home, "PYTHONPATH": str(ROOT), **_SAVING}
        os.environ.pop("XDG_CONFIG_HOME", None)
        prepare(project, model)
        os.chdir(project.root)
        terminal = Recorder()
        try:
            tour(terminal)
        finally:
            os.chdir(ROOT)
            terminal.close()
        recording = cast(terminal.events)
        wrong = faults(recording)
    file = CAST.with_suffix(".refused") if wrong else CAST
    file.write_text(recording, encoding="utf-8")
    print(f"{file.relative_to(ROOT)}: {', '.join(wrong) or 'done'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
