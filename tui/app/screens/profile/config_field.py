"""One value of the configuration: its name, an editor of the right kind, and help or what is wrong."""

from typing import Any, ClassVar, Literal, get_args, get_origin

from engine.config import TrainingConfig, help_text
from engine.errors import UserError
from engine.i18n import _
from engine.sanitize import one_line
from tui.app.screens.shared.line_input import LineInput

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Select, Static


class Choice(Select[Any], inherit_bindings=False):
    """A list of choices that leaves the up and down keys to the form."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space", "show_overlay", _("Open the list"), show=False),
    ]


class ConfigField(Vertical):
    """A row made from the field's type: a list of choices, or text."""

    def __init__(self, field: str, value: Any, models: tuple[str, ...]) -> None:
        super().__init__(classes="field")
        self.field = field
        """Name in `TrainingConfig`."""
        self.editor: Widget = _editor(field, value, models)

    def compose(self) -> ComposeResult:
        """Draw label and editor beside each other, the help below."""
        with Horizontal():
            yield Static(self.field, classes="field-name", markup=False)
            yield self.editor
        yield Static(help_text(self.field), classes="field-note", markup=False)

    def on_descendant_focus(self) -> None:
        """Mark the row, and scroll so that its help is seen as well."""
        self.add_class("-active")
        self.scroll_visible(animate=False)

    def on_descendant_blur(self) -> None:
        """Take the mark away."""
        self.remove_class("-active")

    @property
    def value(self) -> Any:
        """What the editor holds now, not yet checked."""
        assert isinstance(self.editor, LineInput | Select)
        return self.editor.value

    def show_problem(self, problem: UserError | None) -> None:
        """Put what is wrong in the place of the help; None brings the help back."""
        note = self.query_one(".field-note", Static)
        self.set_class(problem is not None, "-wrong")
        note.update(
            help_text(self.field) if problem is None else Content(f"✗ {one_line(problem.problem, 200)}.")
        )


def _editor(field: str, value: Any, models: tuple[str, ...]) -> Widget:
    kind = TrainingConfig.model_fields[field].annotation
    if kind is bool:
        return _choices([(_("no"), False), (_("yes"), True)], value)
    if get_origin(kind) is Literal:
        return _choices([(name, name) for name in get_args(kind)], value)
    if field == "model":
        names = dict.fromkeys((*models, value) if value else models)
        return _choices([(_("the first one"), ""), *((one_line(name, 60), name) for name in names)], value)
    return LineInput(_as_text(value), compact=True, select_on_focus=False)


def _choices(options: list[tuple[str, Any]], value: Any) -> Choice:
    prompts = [(Content(label), name) for label, name in options]
    return Choice(prompts, value=value, allow_blank=False, compact=True)


def _as_text(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(value)
    return str(value)
