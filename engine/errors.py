"""The one exception for mistakes a user can make and correct, and the one for what the user ended."""

import errno
import os

from engine.i18n import N_, _
from engine.i18n.texts import message_of
from engine.sanitize import one_line
from engine.shell import ended

LONGEST = 2000
"""Characters of each half of a refusal; what it quotes may be a whole file."""
_REASONS = {
    errno.ENOENT: N_("No such file or directory"),
    errno.EACCES: N_("Permission denied"),
    errno.EPERM: N_("Operation not permitted"),
    errno.EEXIST: N_("File exists"),
    errno.ENOTDIR: N_("Not a directory"),
    errno.EISDIR: N_("Is a directory"),
    errno.ENOTEMPTY: N_("Directory not empty"),
    errno.ENAMETOOLONG: N_("File name too long"),
    errno.ELOOP: N_("Too many levels of symbolic links"),
    errno.EIO: N_("Input/output error"),
    errno.ENOSPC: N_("No space left on device"),
    errno.EDQUOT: N_("Disk quota exceeded"),
    errno.EFBIG: N_("File too large"),
    errno.EROFS: N_("Read-only file system"),
    errno.EXDEV: N_("Invalid cross-device link"),
    errno.EMFILE: N_("Too many open files"),
    errno.ENOMEM: N_("Cannot allocate memory"),
    errno.ENOEXEC: N_("Exec format error"),
    errno.ESTALE: N_("Stale file handle"),
    errno.EADDRINUSE: N_("Address already in use"),
    errno.EADDRNOTAVAIL: N_("Cannot assign requested address"),
    errno.ECONNREFUSED: N_("Connection refused"),
    errno.ECONNRESET: N_("Connection reset by peer"),
    errno.EHOSTUNREACH: N_("No route to host"),
    errno.ENETUNREACH: N_("Network is unreachable"),
    errno.ETIMEDOUT: N_("Connection timed out"),
    errno.EPIPE: N_("Broken pipe"),
}
"""What the system says of a file or connection, which Python tells in English whatever the locale is."""


class UserError(Exception):
    """A refusal in one sentence: what is wrong and where, then how to fix it.

    It quotes data, names and other programs' words, so it makes itself harmless for
    a terminal. The command line prints it on stderr and exits with 1; the app shows
    it on the screen that asked. Anything else that is raised is a defect.
    """

    def __init__(self, problem: str, fix: str = "") -> None:
        self.messages = tuple(message_of(text) for text in (problem, fix) if text)
        """The same, to be told in another language."""
        self.problem = one_line(problem, LONGEST).rstrip(".")
        """What is wrong and where (file, line, field), without a full stop."""
        self.fix = one_line(fix, LONGEST).rstrip(".")
        """What the user can do about it, as an imperative."""
        super().__init__(ended(f"{self.problem}; {self.fix}" if self.fix else self.problem))


class WrongUsage(UserError):
    """Words of the command line that no project could take; it exits with 2, as for an unknown option."""


def system_reason(error: OSError) -> str:
    """Return why the system did not do something, in the user's language where it is a usual reason."""
    code = error.errno
    if code in _REASONS and error.strerror == os.strerror(code):  # else it is one of another numbering
        return _(_REASONS[code])
    return error.strerror or str(error)


def write_fix(error: OSError) -> str:
    """Return what to do about a file that could not be written, as an imperative."""
    match error.errno:
        case errno.ENOSPC:
            return _("free some disk space")
        case errno.EDQUOT:
            return _("delete files of yours on that disk, or ask for a larger share of it")
        case errno.EFBIG:
            return _("allow larger files with ulimit -f unlimited")
        case errno.EROFS | errno.EACCES | errno.EPERM:
            return _("make the folder writable")
        case _other:
            return _("put that right")


class Cancelled(Exception):
    """Something that takes long was ended by the one who asked for it."""
