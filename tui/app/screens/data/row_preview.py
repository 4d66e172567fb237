"""One row of the data as the model sees it."""

from typing import TYPE_CHECKING

from engine import units
from engine.dataset.report import Fault
from engine.errors import UserError
from engine.i18n import _, number
from engine.sanitize import one_line, printable
from engine.shell import ended
from tui.app.screens.shared.verdict_line import STYLES
from tui.shell import complete, file_of, laid_out

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

if TYPE_CHECKING:
    from engine.dataset.inspect.preview import PreviewToken  # imports numpy, so not at start-up

MOST_CHARACTERS = 20_000
"""A longer row is shown up to here."""


class RowPreview(VerticalScroll):
    """A box with the tokens: trained ones underlined, cut ones struck out, control tokens dim."""

    def __init__(self, classes: str) -> None:
        super().__init__(classes=classes)
        self._fault: Fault | None = None

    def compose(self) -> ComposeResult:
        """Yield the two texts: what is wrong with the row, and its tokens."""
        yield Static(id="fault-text")
        yield Static(id="row-text")

    def on_mount(self) -> None:
        """Explain the marks."""
        self.border_subtitle = Content.assemble(
            (_("trained"), "bold underline"), " · ", (_("cut"), "strike"), " · ", (_("control"), "dim")
        )

    def show_fault(self, fault: Fault | None) -> None:
        """Say in full what is wrong and fix."""
        self._fault = fault
        self.query_one("#fault-text", Static).display = fault is not None
        self._draw_fault()

    def on_resize(self) -> None:
        """Lay commands out for the new width."""
        self._draw_fault()

    def _draw_fault(self) -> None:
        if self._fault:
            text = _fault_text(self._fault, self.scrollable_content_region.width)
            self.query_one("#fault-text", Static).update(text)

    def show_alone(self, fault: Fault) -> None:
        """Say what is wrong with the base model, and no row below it."""
        self.show_fault(fault)
        self.border_title = Content(one_line(fault.file, 40))
        self.query_one("#row-text", Static).update("")

    def show_waiting(self, file: str, line: int) -> None:
        """Say that a row is being read."""
        self._title(file, line)
        self.query_one("#row-text", Static).update(Content.styled(_("Reading the row …"), "$muted"))

    def show_tokens(self, file: str, line: int, tokens: "tuple[PreviewToken, ...]") -> None:
        """Draw a row."""
        self._title(file, line, f": {units.tokens(sum(len(token.ids) for token in tokens))}")
        self.query_one("#row-text", Static).update(_drawn(tokens))
        self.scroll_home(animate=False)

    def show_refusal(self, file: str, line: int, error: UserError, raw: str) -> None:
        """Show a line that cannot be used as it stands; say why unless the fault above does."""
        self._title(file, line, _(", as it stands in the file") if raw else "")
        reason = "" if self.query_one("#fault-text").display else f"{complete(one_line(str(error), 400))}\n"
        row = Content.assemble((reason, "$muted"), _inline(raw.rstrip("\n")))
        self.query_one("#row-text", Static).update(row)

    def _title(self, file: str, line: int, rest: str = "") -> None:
        words = _("{file} line {line}{rest}").format(file=one_line(file, 40), line=number(line), rest=rest)
        self.border_title = Content(words)


def _fault_text(fault: Fault, width: int) -> Content:
    colour = STYLES[fault.severity]
    left_out = _("left out") if fault.leaves_out else _("still used")
    if fault.column:
        left_out = _("column {n}; {left_out}").format(n=number(fault.column), left_out=left_out)
    message = printable(fault.message).rstrip(".")
    parts = [Content.styled(f"{message} " if fault.line else f"{message}. ", colour)]
    if fault.line:
        parts.append(Content.styled(f"({left_out}). ", "$muted"))
    if fault.fix and fault.severity != "note":
        text = _("Fix: {fix}").format(fix=printable(fault.fix).rstrip("."))
        said = sum(part.cell_length for part in parts)
        text = text if text.endswith("?") else ended(text)
        fix = laid_out(text, width, file_of(fault), said)
        parts.append(Content(fix))
    return Content("").join(parts)


def _drawn(tokens: "tuple[PreviewToken, ...]") -> Content:
    parts: list[Content] = []
    room, before = MOST_CHARACTERS, ""
    for token in tokens:
        text, before = _inline(token.text, before), token.text
        parts.append(Content.styled(text, _style(token)))
        room -= len(text)
        if room < 0:
            return Content("").join([*parts, Content.styled(" …", "$muted")])
    return Content("").join(parts)


def _inline(text: str, before: str = "") -> str:
    return printable(text, before).replace("\n", "⏎").replace("\t", "⇥")


def _style(token: "PreviewToken") -> str:
    marks = [
        name
        for name, present in (
            ("strike", token.cut),
            ("dim", token.special or token.cut),
            ("bold underline", token.trained and not token.cut),
        )
        if present
    ]
    return " ".join(marks)
