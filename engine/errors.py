"""The one exception for mistakes a user can make and correct, and the one for what the user ended."""

import errno

from engine.i18n import _
from engine.i18n.texts import message_of
from engine.sanitize import one_line
from engine.shell import ended

LONGEST = 2000
"""Characters of each half of a refusal; what it quotes may be a whole file."""


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
