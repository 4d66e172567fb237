"""A monkey at the keyboard of the app.

Random keys, texts, pastes, clicks and sizes go to the real program on a terminal, in
bursts drawn from a seed, in a project where it can train and chat. At every other start
a run goes on meanwhile, and now and then the line is lost: the run then goes on in the
background, where the next start finds it. Languages take turns. The app may end only as
keys and lost lines end it: without a traceback and with the terminal in order. After every
burst it has to answer a key, and may not be silent for a second by its own fault. At the
end every file that the user had before has to be as it was, or with its backup, the
checkpoints whole and the metrics without a gap.
"""

import os
import signal
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from unittest import mock

from engine.i18n.catalogue import path_of, read
from engine.project import Project
from engine.sanitize import one_line
from tests.campaigns.common import Result
from tests.campaigns.monkey_bursts import ESCAPE, Burst, draw
from tests.campaigns.monkey_pace import Pace
from tests.campaigns.monkey_project import files_lost, files_of_user, make_project, require_whole
from tests.campaigns.signal_checks import processes_of
from tests.support.terminal import LIMIT_S, Terminal

import psutil

_SIZE = (80, 24)
_LOG_TAIL = 4000
"""Characters of the log of a run that a fault is told with."""
_REMEMBERED = 30
"""Bursts that are printed where something went wrong."""
_SET_BACK = (b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[?1000l", b"\x1b[?2004l")
"""Screen, cursor, mouse and pastes as they were before the app."""
_BEGIN = b"\x1b[?1049h"
"""Begins the screen of the app; all of that has to be behind the last one, before what is typed later."""
_ENVIRONMENT = {
    "PIP_NO_INDEX": "1",  # the built-in model is not downloaded
    "HF_HUB_OFFLINE": "1",
    "VISUAL": f"{sys.executable} -c ''",  # an editor that is left at once
}
_ANSWERS = {"Leave while training?": "\r", "Save the changes?": "d", "leave when it has arrived": ""}
"""What is answered to the questions that leaving may bring; a run that is on its way has to arrive first."""


class Monkey:
    """Plays with one project; starts the app again whenever its keys have ended it."""

    def __init__(self, project: Project, seed: int) -> None:
        self._project = project
        self._random = Random(seed)
        self._last: deque[Burst] = deque(maxlen=_REMEMBERED)
        self._terminal: Terminal | None = None
        self._words: dict[str, str] = {}
        """Translations of what is looked for, by the English text; empty for English."""
        self.pace = Pace()
        self.bursts = 0
        """How many were played."""
        self.starts = 0
        """How often the app was started."""
        self.hang_ups = 0
        """How often the line was lost."""

    def play(self) -> None:
        """Type one burst and see that the app answers afterwards, or that it ended in order.

        Raises:
            AssertionError: it did neither; with the last bursts.
        """
        terminal = self._terminal or self._start()
        burst = draw(self._random)
        self._last.append(burst)
        self.bursts += 1
        try:
            _type(terminal, burst)
            if burst.ends_by:
                self._lose(terminal, burst.ends_by)
            elif self._answers(terminal):
                assert self._word("Unexpected error") not in terminal.text, terminal.text
            else:
                self._end(terminal)
        except AssertionError as fault:
            bursts = "\n".join(one_line(repr(burst), 400) for burst in self._last)
            log = self._project.log_file
            told = log.read_text(errors="replace")[-_LOG_TAIL:] if log.exists() else ""
            raise AssertionError(f"{fault}\nlog of the run\n{told}\nafter\n{bursts}") from None

    def leave(self) -> None:
        """Leave the app as a user does, whatever it asks, and end the run that goes on without it.

        Raises:
            AssertionError: either does not end, or not in order.
        """
        if self._terminal:
            self._leave(self._terminal)
            self._end(self._terminal)
        left = processes_of(self._project)
        for process in left:
            process.terminate()
        _gone, alive = psutil.wait_procs(left, LIMIT_S)
        assert not alive, f"the run in the background does not end: {alive}"
        log = self._project.log_file
        assert not log.exists() or b"Traceback" not in log.read_bytes(), log.read_text(errors="replace")

    def close(self) -> None:
        """Leave nothing behind."""
        for process in processes_of(self._project):
            process.kill()

    def _start(self) -> Terminal:
        language = "pt" if self.starts // 2 % 2 else "en"
        options = ["--lang", language, *([] if self.starts % 2 else ["--go-on"])]
        self._words = (
            {text: forms[0] for text, forms in read(path_of(language)).items()} if language != "en" else {}
        )
        self._terminal = Terminal("-C", str(self._project.root), *options)
        self._terminal.wait_for(f"/{self._project.root.name} ·")  # the header, wherever it opens and is cut
        self.starts += 1
        return self._terminal

    def _word(self, text: str) -> str:
        """Return a text of the app, or what there is before the first value in it, in its language."""
        found = (other for english, other in self._words.items() if english.startswith(text))
        return next(found, text).partition("{")[0].strip(": ")

    def _lose(self, terminal: Terminal, by: str) -> None:
        """Lose the line, or say so, which ends the app unless its keys have done so before."""
        if by == "line":
            terminal.hang_up()
        else:
            terminal.signal(signal.SIGHUP)
        self.hang_ups += 1
        self._end(terminal, codes=(0, 128 + signal.SIGHUP))

    def _end(self, terminal: Terminal, codes: tuple[int, ...] = (0,)) -> None:
        """Check how the app ended; only a run in the background may be left of it."""
        self._terminal = None
        code, output = terminal.wait(), terminal.output
        assert code in codes and b"Traceback" not in output, f"ended with {code}:\n{terminal.text}"
        assert self._word("A part of the app did not end") not in terminal.text, terminal.text
        if terminal.is_open:
            now = terminal.attributes()
            assert now == terminal.first_attributes, "the terminal's settings are not as before"
            missing = [code for code in _SET_BACK if code not in output[output.rfind(_BEGIN) :]]
            assert not missing, f"the terminal is not set back: {missing}"
        left = [command for command in map(_command, processes_of(self._project)) if "train" not in command]
        assert not left, f"processes are left: {left}"
        terminal.close()

    def _answers(self, terminal: Terminal) -> bool:
        """Whether the app opens its list of places from wherever it is; False if it has ended."""
        terminal.resize(*_SIZE)
        # Out of what may have begun in the burst, then out of the palette itself.
        for keys, shown in ((ESCAPE * 2 + "\x10", True), (ESCAPE, False)):
            terminal.write(keys.encode())
            _wait(
                terminal,
                self.pace.watching(terminal, partial(_shows, terminal, self._word("Where to?"), shown)),
            )
            if terminal.has_ended:
                return False
        return True

    def _leave(self, terminal: Terminal) -> None:
        answers = {self._word(question): answer for question, answer in _ANSWERS.items()}
        while not terminal.has_ended:
            terminal.write(b"\x11")
            _wait(terminal, lambda: any(question in terminal.text for question in answers))
            for question, answer in answers.items():
                if question in terminal.text:
                    terminal.write(answer.encode())
                    _wait(terminal, partial(_shows, terminal, question, False))


def _type(terminal: Terminal, burst: Burst) -> None:
    if burst.size:
        terminal.resize(*burst.size)
    terminal.write(burst.typed)


def _shows(terminal: Terminal, text: str, shown: bool) -> bool:
    return (text in terminal.text) == shown


def _wait(terminal: Terminal, holds: Callable[[], bool]) -> None:
    def look() -> bool:
        if not terminal.is_full_screen and terminal.is_open:
            terminal.resume_output()  # a Ctrl+S as the app left holds its last line back
        return holds() or terminal.has_ended

    terminal.wait_until(look, "the palette")


def _command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:  # it has just ended
        return ["train"]


def campaign(seed: int, bursts: int | None, minutes: float) -> list[Result]:
    """Let a monkey play so many bursts, None for any number, for so long or until something goes wrong."""
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, _ENVIRONMENT):
        project, fault = make_project(Path(folder)), ""
        before, monkey = files_of_user(project), Monkey(project, seed)
        end = time.monotonic() + 60 * minutes
        try:
            while monkey.bursts != bursts and time.monotonic() < end:
                monkey.play()
            monkey.leave()
            lost = files_lost(before, files_of_user(project))
            assert not lost, f"files were changed or lost: {lost}"
            require_whole(project)
        except AssertionError as error:
            fault = str(error).partition("\n")[0] or repr(error)
            print(f"FAILED with --seed {seed}: {error}", file=sys.stderr)
        finally:
            monkey.close()
    remark = (
        fault
        or f"{monkey.starts} starts, {monkey.hang_ups} lost lines, silent for {monkey.pace.longest_s:.2f} s"
    )
    return [Result(f"keys of seed {seed}", monkey.bursts, monkey.bursts - bool(fault), remark=remark)]
