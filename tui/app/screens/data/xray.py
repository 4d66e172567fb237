"""The token X-ray: one row of the data as the model reads it, over the whole screen."""

from typing import TYPE_CHECKING, ClassVar

from engine.i18n import _, ngettext, number
from engine.sanitize import one_line, printable
from tui.app.messages import RowRead
from tui.app.screens.data.line_number import LineNumberScreen
from tui.app.screens.data.token_cells import BORDERS, SPECIAL
from tui.app.screens.data.token_view import TokenView
from tui.app.screens.shared.base import PlaceScreen
from tui.app.screens.shared.verdict_line import VerdictLine
from tui.words import no_line

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

if TYPE_CHECKING:
    from engine.dataset.inspect.preview import PreviewToken, RowFigures  # imports numpy, so not at start-up

MOST_TOKENS = 5_000
"""Of a longer row the first are shown."""


class XrayScreen(PlaceScreen):
    """Each token of a row behind a border, what is trained, cut and special marked, ids on request."""

    PLACE: ClassVar[str] = _("3 Data: X-ray")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "n", "walk(1)", _("Next row"), key_display="n/b", tooltip=_("Show the next row"), id="xray.next"
        ),
        Binding(
            "b", "walk(-1)", _("Row before"), show=False, tooltip=_("Show the row before"), id="xray.before"
        ),
        Binding("t", "ids", _("Token ids"), tooltip=_("Show the tokens' numbers below them"), id="xray.ids"),
        Binding("g", "go_to", _("Go to line"), tooltip=_("Show the row on another line"), id="xray.go_to"),
        Binding(
            "o",
            "other_file",
            _("Other file"),
            show=False,
            tooltip=_("Show the other file, train or valid"),
            id="xray.other_file",
        ),
        Binding(
            "escape,x", "close", _("Back"), key_display="Esc", tooltip=_("Back to the data"), id="xray.close"
        ),
    ]

    def __init__(self, file: str, line: int) -> None:
        """Prepare the screen.

        Args:
            file: of the row, in the data folder.
            line: of the row, from 1.
        """
        super().__init__()
        self._shown = self._before = (file, line)
        """The row that is shown or awaited, and the last one that was there."""
        self._tokens: tuple[PreviewToken, ...] = ()
        self._with_ids = False

    def compose_body(self) -> ComposeResult:
        """Yield figures, tokens or the refused line, and what the marks mean."""
        yield VerdictLine(id="xray-figures")
        yield Static(id="xray-ending")
        yield TokenView()
        with VerticalScroll(id="xray-refused"):
            yield Static(id="xray-raw")
        yield Static(_legend(), id="xray-legend")

    def on_mount(self) -> None:
        """Begin with the keys on the tokens."""
        self.query_one("#xray-refused").display = False
        self.query_one(TokenView).focus()

    def on_screen_resume(self) -> None:
        """Read the row; the configuration may be another one by now."""
        self._read(*self._shown)

    def action_walk(self, by: int) -> None:
        """Show the row beside."""
        file, line = self._shown
        if line + by >= 1:
            self._read(file, line + by)

    def action_other_file(self) -> None:
        """Show the first row of the other file."""
        train, valid = self.mqlora.project.train_file.name, self.mqlora.project.valid_file.name
        self._read(train if self._shown[0] == valid else valid, 1)

    def action_ids(self) -> None:
        """Show the numbers of the tokens, or hide them."""
        self._with_ids = not self._with_ids
        self._show_tokens()

    def action_go_to(self) -> None:
        """Ask for a line and show it."""

        def go(line: int | None) -> None:
            if line:
                self._read(self._shown[0], line)

        self.app.push_screen(LineNumberScreen(), go)

    def action_close(self) -> None:
        """Go back to the data."""
        self.dismiss(None)

    def _read(self, file: str, line: int) -> None:
        self._shown = (file, line)
        self.query_one("#xray-figures", VerdictLine).show_waiting(_("{row}: reading …").format(row=self._row))
        self.mqlora.read_row(self, file, line)

    @property
    def _row(self) -> str:
        file, line = self._shown
        return _("{file} line {line}").format(file=one_line(file, 40), line=number(line))

    def on_row_read(self, message: RowRead) -> None:
        """Draw the row unless another was asked for since."""
        if (message.file, message.line) != self._shown:
            return
        if message.is_beyond and self._shown != self._before:
            self.mqlora.show_notice(no_line(*self._shown))
            self._read(*self._before)
            return
        self._before = self._shown
        is_refused = message.error is not None
        self.query_one(TokenView).display = not is_refused
        self.query_one("#xray-refused").display = is_refused
        self.query_one("#xray-ending").display = not is_refused
        if message.error:
            self.query_one("#xray-figures", VerdictLine).show("error", str(message.error))
            raw = printable(message.raw.rstrip("\n")).replace("\t", "⇥")
            self.query_one("#xray-raw", Static).update(Content(raw))
        else:
            self._tokens = message.tokens
            self._show_figures()
            self._show_tokens()

    def _show_tokens(self) -> None:
        self.query_one(TokenView).show(self._tokens[:MOST_TOKENS], self._with_ids)

    def _show_figures(self) -> None:
        from engine.dataset.inspect.preview import row_figures

        figures = row_figures(self._tokens)
        text = ngettext("{n} token: ", "{n} tokens: ", figures.total).format(n=number(figures.total))
        counts = _("{prompt} prompt, {trained} trained, {cut} cut at {limit}")
        if figures.later:
            counts = _("{prompt} prompt, {trained} trained, {later} later without loss, {cut} cut at {limit}")
        text += counts.format(
            prompt=number(figures.prompt),
            trained=number(figures.trained),
            later=number(figures.later),
            cut=number(figures.cut),
            limit=number(self.mqlora.config.max_seq_length),
        )
        if len(self._tokens) > MOST_TOKENS:
            text += _("; the first {n} are shown").format(n=number(MOST_TOKENS))
        self.query_one("#xray-figures", VerdictLine).show("note", f"{self._row}.", text)
        self.query_one("#xray-ending", Static).update(_ending(figures))


def _ending(figures: "RowFigures") -> Content:
    """Say where the answers begin, and whether the model learns to end them."""
    symbol, colour, text = {
        "trained": ("✓", "$success", _("and ends with an end token that is learned")),
        "cut": ("!", "$warning", _("but its end is cut off: the model does not learn to stop")),
        "missing": ("!", "$warning", _("but has no end token: the model does not learn to stop")),
        "nothing": ("✗", "$error", _("No token is learned: the row is left out")),
    }[figures.ending]
    if figures.answers:
        many = ngettext(
            "The answer begins at token {at}", "{n} answers, the first begins at token {at}", figures.answers
        )
        text = f"{many.format(n=number(figures.answers), at=number(figures.prompt + 1))} {text}"
    return Content.assemble((f"{symbol} ", f"bold {colour}"), f"{text}.")


def _legend() -> Content:
    """Explain the marks."""
    return Content.assemble(
        (BORDERS["trained"], "$accent"),
        (_("trained"), "bold underline"),
        f"  {BORDERS['prompt']}{_('not trained')}  {BORDERS['cut']}",
        (_("cut"), "strike"),
        (f"  {SPECIAL}", "$muted"),
        (_("control token"), "$accent"),
        (_("  · space  ⏎ line break  ⇥ tab"), "$muted"),
    )
