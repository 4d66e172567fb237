"""One value of the configuration: its name, an editor of the right kind, and help or what is wrong."""

from typing import Any, Literal, get_args, get_origin

from engine.config import TrainingConfig
from engine.errors import UserError
from engine.i18n import _
from engine.sanitize import one_line
from engine.setting_words import help_text, value_text, value_word
from tui.app.screens.shared.choice import Pick
from tui.app.screens.shared.line_input import LineInput

from rich.text import Text
from textual.app import ComposeResult
from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

_INDENT = 2


class ConfigField(Widget):
    """Draws name and help itself, around an editor made from the field's type: each widget costs time."""

    def __init__(self, field: str, value: Any, models: tuple[str, ...]) -> None:
        super().__init__(classes="field")
        self.field = field
        """Name in `TrainingConfig`."""
        self.note = help_text(field)
        """The help, or what is wrong."""
        self.editor: Pick | LineInput = _editor(field, value, models)

    def compose(self) -> ComposeResult:
        """Yield the editor, which stands beside the name."""
        yield self.editor

    def render(self) -> Content:
        """Draw the name and, below it, the help."""
        name = Content.styled(self.field, "bold $accent" if self.has_class("-active") else "$foreground")
        colour = "$error" if self.has_class("-wrong") else "$muted"
        lines = self._lines(self.size.width)
        return Content("\n").join([name, *(Content.styled(line, colour) for line in lines)])

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Take a line for name and editor, and those of the help."""
        return 1 + len(self._lines(width))

    def _lines(self, width: int) -> list[str]:
        lines = Text(self.note).wrap(self.app.console, max(10, width - _INDENT))
        return [" " * _INDENT + line.plain.rstrip() for line in lines]

    def on_descendant_focus(self) -> None:
        """Mark the row, and scroll so that its help is seen as well."""
        self.add_class("-active")
        self.refresh()
        self.scroll_visible(animate=False)

    def on_descendant_blur(self) -> None:
        """Take the mark away."""
        self.remove_class("-active")
        self.refresh()

    @property
    def value(self) -> Any:
        """What the editor holds now, not yet checked."""
        return self.editor.value

    def take(self, value: Any) -> None:
        """Put another value into the editor."""
        self.editor.value = value if isinstance(self.editor, Pick) else _as_text(value)

    def show_problem(self, problem: UserError | None) -> None:
        """Put what is wrong in the place of the help; None brings the help back."""
        note = f"✗ {one_line(problem.problem, 200)}." if problem else help_text(self.field)
        if note != self.note:
            self.note = note
            self.set_class(problem is not None, "-wrong")
            self.refresh(layout=True)


def _editor(field: str, value: Any, models: tuple[str, ...]) -> Pick | LineInput:
    kind = TrainingConfig.model_fields[field].annotation
    if kind is bool:
        return Pick([(_("no"), False), (_("yes"), True)], value)
    if get_origin(kind) is Literal:
        return Pick([(_named(name), name) for name in get_args(kind)], value)
    if field == "model":
        names = dict.fromkeys((*models, value) if value else models)
        return Pick([(_("the first one"), ""), *((one_line(name, 60), name) for name in names)], value)
    return LineInput(_as_text(value), compact=True, select_on_focus=False)


def _named(value: str) -> str:
    """Return a choice as it is typed after `--set`, and its word in a language that has another."""
    word = value_word(value)
    return value if word == value else f"{value} ({word})"


def _as_text(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(value)
    return value_text(value)
