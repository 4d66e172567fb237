"""The form in which an answer is corrected before it becomes a row of training data."""

from typing import ClassVar

from engine.dataset.convert.additions import Addition, answered
from engine.dataset.jsonl.turns import Message as Turn
from engine.errors import UserError
from engine.i18n import _
from engine.sanitize import one_line, printable
from tui.app.screens.chat.text_field import TextField
from tui.app.screens.shared.unsaved import FormDialog, FormResult

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static


class RightAnswerScreen(FormDialog[Addition]):
    """Ctrl+S saves what the check takes; what it would warn of is told, and saved with another Ctrl+S."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "save_row", _("Save"), priority=True, id="right_answer.save"),
    ]

    def __init__(self, turns: list[Turn], answer: str, as_turns: bool) -> None:
        """Prepare the form.

        Args:
            turns: the conversation, ending with the question.
            answer: that was given; empty for none.
            as_turns: see `answered`.
        """
        super().__init__()
        self._turns, self._answer, self._as_turns = turns, printable(answer), as_turns
        self._warned = ""
        """The row whose doubts are shown."""

    def compose(self) -> ComposeResult:
        """Draw the question, the answer and the keys."""
        keys = (("Ctrl+S", _("Save as a row of training data")), ("Esc", _("Close")))
        with Vertical(classes="dialog chat-answer") as box:
            box.border_title = Content(_("The right answer"))
            yield Static(Content(one_line(self._turns[-1]["content"], 300)), classes="muted")
            if len(self._turns) > 1:
                before = _("What was said before is saved with it; only this answer is learned.")
                yield Static(Content(before), classes="muted")
            yield TextField(self._answer)
            yield Static(id="chat-answer-error", markup=False)
            parts = [Content.assemble((f"{key} ", "bold $accent"), (word, "$muted")) for key, word in keys]
            yield Static(Content("   ").join(parts), classes="dialog-keys")

    def on_mount(self) -> None:
        """Begin at the end of the answer."""
        field = self.query_one(TextField)
        field.focus()
        field.move_cursor(field.document.end)

    @property
    def is_changed(self) -> bool:
        """Whether the answer is another one than that of the model."""
        return self.query_one(TextField).text != self._answer

    def action_save_row(self) -> None:
        """Save."""
        self.save("")

    def save(self, then: str) -> None:
        """Answer with the row, or say what is wrong with it."""
        try:
            row = answered(self._turns, self.query_one(TextField).text.strip(), self._as_turns)
        except UserError as error:
            self._say(f"✗ {error.problem}. {_('Fix: {fix}').format(fix=error.fix)}.")
            return
        if row.doubts and row.line != self._warned:
            self._warned = row.line
            first = row.doubts[0]
            said = _("! {problem}. Fix: {fix}; or save it as it is with Ctrl+S.")
            self._say(said.format(problem=first.message, fix=first.fix))
            return
        self.dismiss(FormResult(row, then))

    def _say(self, text: str) -> None:
        self.query_one("#chat-answer-error", Static).update(Content(one_line(text, 400)))
