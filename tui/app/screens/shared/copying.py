"""What of a place can be copied: sentences, commands, paths; chosen by number, Enter or a click."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import ClassVar, NamedTuple

from engine.errors import UserError
from engine.i18n import _
from engine.sanitize import one_line, printable
from engine.shell import at_end
from tui.app.screens.shared.dialog import Dialog
from tui.shell import complete

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

_MOST_SHOWN = 300
"""Characters of a text that is listed; all of it is copied."""
_NUMBERS = "123456789"


class ToCopy(NamedTuple):
    """A text that may be wanted elsewhere."""

    what: str
    """A word or two for what it is."""
    text: str
    """Commands are complete, on one line."""


class Copied:
    """A widget that says what may be wanted elsewhere."""

    @abstractmethod
    def to_copy(self) -> Iterator[ToCopy]:
        """Yield the texts."""


def of_sentence(what: str, sentence: str) -> Iterator[ToCopy]:
    """Yield a sentence, and by itself the command that it ends with, if it does."""
    if sentence:
        yield ToCopy(what, complete(sentence))
        if command := at_end(sentence)[1]:
            yield ToCopy(_("command"), complete(command))


def of_error(error: UserError) -> Iterator[ToCopy]:
    """Yield a refusal, and the command of its fix."""
    yield ToCopy(_("message"), complete(str(error)))
    if command := at_end(f": {error.fix}")[1]:
        yield ToCopy(_("command"), complete(command))


class CopyScreen(Dialog[str]):
    """Answers with the text that was chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,y", "dismiss", _("Close"), id="copying.close"),
        *(Binding(number, f"take({number})", show=False) for number in _NUMBERS),
    ]

    def __init__(self, texts: Iterable[ToCopy]) -> None:
        """Offer `texts`, each once."""
        super().__init__()
        self._texts: list[ToCopy] = []
        for each in texts:
            if each.text and each.text not in [other.text for other in self._texts]:
                self._texts.append(each)

    def compose(self) -> ComposeResult:
        """Draw one box."""
        with Vertical(classes="dialog copying") as box:
            box.border_title = Content(_("Copy"))
            box.border_subtitle = Content(_("Enter or its number copies, Esc closes"))
            yield OptionList(*(Option(_line(n, each)) for n, each in enumerate(self._texts, start=1)))

    def action_take(self, number: int) -> None:
        """Answer with the text of a number."""
        if number <= len(self._texts):
            self.dismiss(self._texts[number - 1].text)

    @on(OptionList.OptionSelected)
    def _take_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.action_take(event.option_index + 1)


def _line(number: int, each: ToCopy) -> Content:
    key = str(number) if number <= len(_NUMBERS) else " "
    return Content.assemble(
        (f"{key}  ", "bold $accent"),
        (f"{each.what}  ", "$muted"),
        one_line(printable(each.text), _MOST_SHOWN),
    )
