"""Training without the app: events on the terminal, signals that pause, a lost terminal that hands over."""

import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from threading import Event
from typing import TYPE_CHECKING

from engine.cluster.world import ALONE, PeerLost, World
from engine.config import TrainingConfig
from engine.errors import UserError
from engine.format import OtherVersions
from engine.i18n import _
from engine.project import Project
from engine.training.beginning import Beginning
from engine.training.events import AS_BEFORE, Mode, Notice, Paused, Resumption
from engine.training.pause_request import PauseRequest
from engine.training.state import RunState
from tui.cli.choose_world import world_options
from tui.cli.getting_ready import end_before_beginning, told_if_stopped
from tui.cli.train_output import Reporter, reporter
from tui.console import err, refuse, say
from tui.run.defect import training_defect
from tui.run.handover import hand_over, take_notice
from tui.shell import complete
from tui.supervisor.child import beat
from tui.terminal.signals import pausing_signals
from tui.terminal.stream import UnblockedStream

import typer

if TYPE_CHECKING:
    from engine.training.trainer import Trainer

# Time that what is left to say has to reach a slow terminal.
_FAREWELL_S = 2.0
_LOOK_S = 0.2
_BROKEN_PIPE = 141


def agree(is_agreed: bool, question: str, otherwise: str) -> None:
    """Ask before anything is trained.

    Args:
        is_agreed: whether that was said on the command line.
        question: what is to be agreed to.
        otherwise: what to do in place of it.

    Raises:
        UserError: nobody is there to be asked, or it is not wanted.
    """
    if is_agreed:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UserError(_("Nobody is here to be asked whether to train"), _("say so with --yes"))
    if not typer.confirm(question, err=True):
        raise UserError(_("Nothing was trained"), otherwise)


def train(
    project: Project,
    config: TrainingConfig | None,
    mode: Mode,
    as_lines: bool,
    how: Resumption = AS_BEFORE,
    world: World = ALONE,
    go_on_with_fewer: bool = False,
) -> int:
    """Train to the end or to a signal; return the exit code.

    Where other versions of MLX computed the run so far, a person at the terminal is asked.

    A run that began on a terminal and loses it (SIGHUP) goes on in the
    background. One whose output nobody reads any more pauses, like any
    program in a pipe; what else becomes of its output does not touch it.
    """

    def leave(lost: PeerLost) -> None:
        if lost.goes_on and lost.rank is not None:
            reporter(as_lines).show(Notice("warning", str(lost)))
            _go_on_without(project, world.without(lost.rank), as_lines)
        refuse(lost)
        if not as_lines and _is_to_resume(project, mode):
            _say_how_many(project, world, go_on_with_fewer)
        os._exit(1)

    try:
        return _train(project, config, mode, as_lines, how, world, go_on_with_fewer, leave)
    except PeerLost as lost:
        leave(lost)
    except OtherVersions as error:
        if as_lines or not (sys.stdin.isatty() and sys.stderr.isatty()):
            return refuse(error)
        say(f"{error.problem}.", err)
        if not typer.confirm(_("Go on, although a last digit or two may come out otherwise?"), err=True):
            return refuse(error)
    accepting = replace(how, accept_versions=True)
    return train(project, config, mode, as_lines, accepting, world, go_on_with_fewer)


def _train(
    project: Project,
    config: TrainingConfig | None,
    mode: Mode,
    as_lines: bool,
    how: Resumption,
    world: World,
    go_on_with_fewer: bool,
    leave: Callable[[PeerLost], None],
) -> int:
    with told_if_stopped():
        from engine.training.trainer import Trainer  # imports MLX

    had_terminal = sys.stdin.isatty() or sys.stdout.isatty()
    show, beginning = reporter(as_lines), Beginning()

    def on_signal(received: list[int]) -> None:
        if received[0] != signal.SIGHUP:  # whose run is to go on without a terminal
            end_before_beginning(beginning, show, 128 + received[0])
        if len(received) == 1:  # Ctrl+C comes from the terminal and from the supervisor
            show.pausing()

    def goes_on(rank: int | None) -> bool:
        return go_on_with_fewer and rank is not None and not stop.is_set() and _is_to_resume(project, mode)

    with pausing_signals(on_signal) as (stop, received), unblocked_output(stop) as unread:
        if had_terminal and (notice := take_notice(project)):
            say(notice, err)
        try:
            trainer = Trainer(project, config, stop, mode, how, world, leave, goes_on, beat, beginning)
            paused = _follow(trainer, show)
        except (OtherVersions, PeerLost):
            raise
        except UserError as error:
            return refuse(error)
        except Exception as error:
            return refuse(training_defect(project, error))
        if paused and received:
            if received[0] == signal.SIGHUP and had_terminal:
                hand_over(project, world_options(project, world, go_on_with_fewer))
            elif world.size > 1 and not as_lines:
                _say_how_many(project, world, go_on_with_fewer)
        return _exit_code(paused, received, unread.is_set())


def _exit_code(paused: bool, received: list[int], is_unread: bool) -> int:
    """Return the exit code of a run that nothing refused; say why it was paused where no signal tells."""
    if paused and received:
        return 128 + received[0]
    if paused and is_unread:
        say(_("Nobody reads the output any more, so the run was paused."), err)
        return _BROKEN_PIPE
    return 0


def _say_how_many(project: Project, world: World, go_on_with_fewer: bool) -> None:
    """Name the options that a paused run needs to go on with as many processes as it had."""
    with suppress(OSError):  # the host file cannot be written; the run itself is saved
        options = shlex.join(world_options(project, world, go_on_with_fewer))
        command = complete(f"mqlora-tui train --resume {options}")
        say(_("with as many processes again: {command}").format(command=command))


def _is_to_resume(project: Project, mode: Mode) -> bool:
    """Whether what is in the run's folder is this run: until it has begun, that may be another one."""
    state = RunState.load(project.state_file)
    return mode == "resume" or (state is not None and state.pid == os.getpid())


def _go_on_without(project: Project, world: World, as_lines: bool) -> None:
    """Become a process that goes on with the run: MLX connects once in the life of one, and may hang."""
    arguments = ["-C", str(project.root), "train", "--resume", *(["--json"] if as_lines else [])]
    arguments += world_options(project, world, go_on_with_fewer=True)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    beat(is_over=True)
    os.dup2(sys.stderr.fileno(), 2)  # the supervisor's file for native messages has taken its place
    os.execv(sys.executable, [sys.executable, "-P", "-m", "tui", *arguments])


def _follow(trainer: "Trainer", show: Reporter) -> bool:
    """Train and tell of it; return whether the run was paused."""
    paused = False
    show.open()
    try:
        for event in trainer.run():
            show.show(event)
            paused = isinstance(event, Paused)
    finally:
        show.close()
    return paused


@contextmanager
def unblocked_output(stop: PauseRequest) -> Iterator[Event]:
    """Let nothing that is printed wait or fail, and set `stop` if the reader of the output has gone.

    Yields:
        An event that tells this reason to stop from others.
    """
    unread = Event()

    def lose_output(error: OSError) -> None:
        if isinstance(error, BrokenPipeError):
            unread.set()
            stop.set_because(_("paused, as nobody read its output any more"))

    before = sys.stdout, sys.stderr
    if not (before[0] is sys.__stdout__ and before[1] is sys.__stderr__):  # read in this process
        yield unread
        return
    output = errors = UnblockedStream(sys.stdout.fileno(), lose_output)
    if not os.path.sameopenfile(sys.stdout.fileno(), sys.stderr.fileno()):
        errors = UnblockedStream(sys.stderr.fileno())
    # One for one terminal: of two, the bar's last frame might come after a sentence, and wipe it away.
    sys.stdout, sys.stderr = output, errors
    try:
        yield unread
    finally:
        sys.stdout, sys.stderr = before
        for stream in (output, errors):
            # Training is over: a program that reads slowly may have every line, until somebody stops it.
            while not (stream.isatty() or stop.is_set() or stream.wait_written(_LOOK_S)):
                pass
            stream.finish(_FAREWELL_S)
