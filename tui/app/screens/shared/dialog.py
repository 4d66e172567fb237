"""How screens that lie over others are closed."""

from typing import ClassVar, TypeVar

from engine.i18n import _
from tui.app.screens.shared.clicks import pressing

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.style import Style
from textual.app import ComposeResult
from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.renderables.background_screen import BackgroundScreen
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

Answer = TypeVar("Answer")
_FAINT = Style(dim=True)


class FaintScreen:
    """What lies behind a dialog, in faint letters: colours that are the terminal's own cannot be mixed."""

    def __init__(self, behind: BackgroundScreen) -> None:
        self._behind = behind

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield its lines."""
        return Segment.apply_style(console.render(self._behind, options), post_style=_FAINT)


class Closing(Screen[Answer]):
    """Closes once, and nothing but itself: Textual closes what lies on top, also for a key typed twice."""

    _answers: tuple[Answer | None, ...] = ()
    """The first answer, once there is one."""

    def dismiss(self, result: Answer | None = None) -> AwaitComplete:
        """Answer and close, as soon as nothing lies over it; only the first answer counts."""
        self._answers = self._answers or (result,)
        return super().dismiss(self._answers[0]) if self.is_active else AwaitComplete()

    def on_screen_resume(self) -> None:
        """Close if that has waited for the screen or the place that lay over it."""
        if self._answers:
            self.dismiss()


class Dialog(ModalScreen[Answer], Closing[Answer]):
    """Lies over a place, which takes no keys meanwhile."""

    def render(self) -> RenderableType:
        """Draw the place behind it, weaker than itself."""
        behind = super().render()
        if self.app.native_ansi_color and isinstance(behind, BackgroundScreen):
            return FaintScreen(behind)
        return behind

    @property
    def at_work(self) -> str:
        """What becomes of the work under way when the app is left, in a sentence; empty where nothing is."""
        return ""

    def stop_work(self) -> bool:
        """End what is under way, for Ctrl+C; False if nothing is that ends so."""
        return False


class DialogKeys(Static):
    """What the keys of a dialog do; each can be clicked."""

    auto_links = False

    def __init__(self, *keys: tuple[str, str, str]) -> None:
        """Prepare the line.

        Args:
            keys: of each its name in bindings, on the keyboard, and what it does.
        """
        parts = [
            pressing(Content.assemble((f"{shown} ", "bold $accent"), (words, "$muted")), key)
            for key, shown, words in keys
        ]
        super().__init__(Content("   ").join(parts), classes="dialog-keys")


class ConfirmScreen(Dialog[bool]):
    """Asks `question`; Enter or y is yes, Escape or n is no."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,y", "answer(True)", _("Yes"), id="confirm.yes"),
        Binding("escape,n,q", "answer(False)", _("No"), id="confirm.no"),
    ]

    def __init__(self, title: str, question: str, yes: str, no: str) -> None:
        super().__init__()
        self._texts = title, question, yes, no

    def compose(self) -> ComposeResult:
        """Draw one small box."""
        title, question, yes, no = self._texts
        with Vertical(classes="dialog") as box:
            box.border_title = Content(title)
            yield Static(question, markup=False)
            yield DialogKeys(("enter", "Enter", yes), ("escape", "Esc", no))

    def action_answer(self, answer: bool) -> None:
        """Close with the answer."""
        self.dismiss(answer)
