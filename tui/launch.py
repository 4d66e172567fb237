"""Where `mqlora-tui` begins: what may crash inside MLX runs in a child, the rest right here.

Only the standard library is imported before that is decided, so that the child starts at once.
"""

import errno
import os
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from types import FrameType

_FILES = "; allow more open files: ulimit -n 1024"
_MORE = {
    errno.EAGAIN: "; allow more processes: ulimit -u 1024",
    errno.EMFILE: _FILES,
    errno.ENFILE: _FILES,
    errno.EACCES: "; let this user read and run it, or install it where that is so",
}
"""What can be done about it, by the system's number of the error."""


def main() -> int:
    """Run the command line and return its exit code."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)  # nothing is held yet
    open_standard_streams()
    speak_utf8()
    from tui.respawn import choose_language  # texts are made while it is imported

    choose_language(sys.argv[1:])
    try:
        return _run()
    except OSError as error:  # before there is anybody to tell it better
        where = f" ({error.filename})" if error.filename else ""
        fix = _MORE.get(error.errno or 0, "")
        print(f"mqlora-tui cannot start: {error.strerror}{where}{fix}.", file=sys.stderr)
        return 1


def _run() -> int:
    from engine.importing import importing
    from tui.respawn import SUPERVISED, peek

    arguments = sys.argv[1:]
    directory, command = peek(arguments)
    if SUPERVISED not in os.environ and wants_supervisor(arguments, command):
        from tui.supervisor.parent import supervise

        return supervise(arguments, directory)
    from tui.supervisor.child import keep_native_messages

    keep_native_messages()
    with importing():  # to look for garbage takes a tenth of the start
        run = _command_line(arguments)
        from tui.terminal.signals import clean_up_on_signals, ignore_signals
    clean_up_on_signals()
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    code = run()
    ignore_signals()  # the exit code is known; one more Ctrl+C must not change it
    return code


def _command_line(arguments: Sequence[str]) -> Callable[[], int]:
    """Return what runs the command line and returns its exit code."""
    from tui.cli.open_app import app_options, open_app

    if (options := app_options(arguments)) is None:
        from tui.cli.main import main

        return main
    from tui.cli.outcome import exit_code_of

    return partial(exit_code_of, partial(open_app, options))


def open_standard_streams() -> None:
    """Give a process that was started without input, output or error stream an empty one.

    Otherwise the next file that is opened would get its number, and what is printed.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
        if getattr(sys, name) is None:
            stream = open(number, "w" if number else "r", encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


def speak_utf8() -> None:
    """Begin again in Python's UTF-8 mode where letters have no bytes: names of files could not be written."""
    if sys.getfilesystemencoding() == "ascii":
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


def _leave(number: int, _frame: FrameType | None) -> None:
    os._exit(128 + number)


def wants_supervisor(arguments: Sequence[str], command: str | None) -> bool:
    """Whether this is the app or a training run, and not just a question about them."""
    if {"-h", "--help", "--background"} & set(arguments):
        return False
    return command in (None, "train")
