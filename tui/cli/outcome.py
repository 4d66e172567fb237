"""How a command ends: with an exit code; no mistake of a user ends in a traceback."""

import errno
import os
import signal
import stat
import sys
from collections.abc import Callable

from engine.errors import UserError
from tui.console import end_output, make_output_harmless, refuse, refuse_system, report_defect, silence

_BROKEN_PIPE = 141
"""128 + SIGPIPE, as other programs end whose output nobody reads."""


def exit_code_of(run: Callable[[], int]) -> int:
    """Run a command and return its exit code, having told what went wrong."""
    make_output_harmless()
    failure: OSError | None = None
    try:
        code = _end_of(run)
    except OSError as error:
        code, failure = 1, error
    unwritten = end_output()
    failure = unwritten or failure
    if isinstance(failure, BrokenPipeError):
        silence(sys.stdout)
        return _BROKEN_PIPE
    if failure and _is_of_a_lost_terminal(failure):  # of which SIGHUP may be told only later
        silence(sys.stdout)
        return 128 + signal.SIGHUP
    return refuse_system(failure) if failure else code


def _is_of_a_lost_terminal(error: OSError) -> bool:
    """Whether something could not be read or written because the terminal is gone."""
    if error.errno != errno.EIO or error.filename is not None:
        return False
    return any(_is_lost(stream.fileno()) for stream in (sys.stdout, sys.stderr))


def _is_lost(descriptor: int) -> bool:
    """Whether this was a terminal: a device that is none any more, and not the one that takes everything."""
    found = os.fstat(descriptor)
    is_device = stat.S_ISCHR(found.st_mode) and found.st_rdev != os.stat(os.devnull).st_rdev
    return is_device and not os.isatty(descriptor)


def _end_of(run: Callable[[], int]) -> int:
    """Run a command and return its exit code.

    Raises:
        OSError: something could not be opened or written, such as the output.
    """
    try:
        return run()
    except UserError as error:
        return refuse(error)
    except OSError:
        raise
    except SystemExit as leave:
        if isinstance(leave.__context__, BrokenPipeError):  # which typer hides behind a code of its own
            raise leave.__context__ from None
        raise
    except KeyboardInterrupt:
        return 130
    except BaseException as error:  # a defect of ours, also a cancelled task: its stack goes to a file
        return report_defect(error)
