"""Where refusals and notices are shown, the same way on all screens: in place, until they are dismissed."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar

from engine.errors import UserError
from engine.i18n import _
from engine.sanitize import one_line
from engine.shell import ended
from tui.app.screens.shared.copying import Copied, ToCopy, of_error, of_sentence
from tui.shell import complete, laid_out

from textual.content import Content
from textual.message import Message
from textual.widgets import Static


class NoteAdded(Message):
    """A widget has something to say for a moment about a key or a paste."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text


class Busy(UserError):
    """A refusal because of what is under way; it is taken away when that is over."""

    def __init__(self, problem: str, fix: str, holds: Callable[[], bool]) -> None:
        """Take what `UserError` takes.

        Args:
            problem: what is under way.
            fix: what can be done about it.
            holds: whether it still is.
        """
        super().__init__(problem, fix)
        self.holds = holds


class Noted:
    """A screen with a line of its own for refusals and notices."""

    WHY_NOT: ClassVar[Mapping[str, str]] = {}
    """Why an action cannot be done where it is not offered, in a sentence, by the action's name."""

    @abstractmethod
    def show_error(self, error: UserError) -> None:
        """Show a refusal: what is wrong, and how to fix it."""

    def why_not(self, action: str) -> str:
        """Say why an action cannot be done now, in a sentence; empty where nothing special is why."""
        return self.WHY_NOT.get(action, "")


class NoteLine(Static, Copied):
    """What came of a job, and a refusal with fix, above the footer; else invisible."""

    def __init__(self) -> None:
        super().__init__(markup=False, classes="note-line")
        self.error: UserError | None = None
        """The refusal that is displayed."""
        self._notice = Content("")
        self._said = ""
        """The notice, its commands as they are stored."""
        self._draw()

    def show(self, error: UserError) -> None:
        """Display `error` until `clear`."""
        self.error = error
        self._draw()

    def clear(self) -> None:
        """Take the error away."""
        self.error = None
        self._draw()

    def to_copy(self) -> Iterator[ToCopy]:
        """Yield what is said."""
        if self.error:
            yield from of_error(self.error)
        yield from of_sentence(_("message"), self._said)

    def show_notice(self, notice: str) -> None:
        """Display `notice` in the place of the one before; empty for none."""
        self._said = one_line(notice, 600)
        self._notice = (
            Content.assemble(("· ", "$accent"), complete(one_line(notice, 600))) if notice else Content("")
        )
        self._draw()

    def on_resize(self) -> None:
        """Lay commands out for the new width."""
        self._draw()

    def _draw(self) -> None:
        parts = [
            part for part in (_refusal(self.error, self._width) if self.error else None, self._notice) if part
        ]
        self.set_class(self.error is not None, "-error")
        self.display = bool(parts)
        self.update(Content("\n").join(parts))

    @property
    def _width(self) -> int:
        """Columns inside the padding; a line that was not shown yet has no size of its own."""
        return self.app.size.width - 2


def _refusal(error: UserError, width: int) -> Content:
    lines = [Content.assemble(("✗ ", "bold $error"), ended(one_line(error.problem, 500)))]
    if error.fix:
        start = _("Fix: ")
        fix = laid_out(start + ended(one_line(error.fix, 500)), width)
        lines.append(Content.assemble((start, "$muted"), fix.removeprefix(start)))
    return Content("\n").join(lines)
