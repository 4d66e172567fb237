"""One profile as a card: what it is for and what it costs."""

from typing import TYPE_CHECKING

from engine.i18n import _, ngettext
from engine.profiles import Offer
from engine.units import duration, size
from tui.app.theme import MUTED, TEXT, WRONG

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.reactive import reactive
from textual.widgets import Static

if TYPE_CHECKING:
    from engine.fit.price import Price  # not at start-up


class ProfileCard(Vertical):
    """A bordered box; the selected one has the accent colour and a pointer in its title."""

    selected: reactive[bool] = reactive(False, toggle_class="-selected")

    class Clicked(Message):
        """The card was clicked."""

        def __init__(self, card: "ProfileCard") -> None:
            super().__init__()
            self.card = card

    def __init__(self, name: str) -> None:
        super().__init__(classes="card panel")
        self.profile = name
        self._offer: Offer | None = None
        self.figures: list[tuple[str, str]] = []
        """Name and value of what a run takes."""
        self._mark = ""

    def compose(self) -> ComposeResult:
        """Yield purpose and price."""
        yield Static(classes="purpose")
        yield Static(classes="price")

    def show(self, offer: Offer | None, recommended: bool, use: str) -> None:
        """Draw an offer, or for None the card of the custom configuration; `use` says what it is for."""
        self._offer, self._mark = offer, _("recommended ◂") if recommended else use
        self.figures = _figures(offer, offer.values["num_epochs"]) if offer else []
        self.set_class(recommended, "-recommended")
        self._draw()

    def show_custom(self, price: "Price | None", epochs: int) -> None:
        """Draw what a run of so many epochs with the custom configuration takes; nothing while unknown."""
        self.figures = _figures(price, epochs) if price else []
        self._draw()

    def on_click(self) -> None:
        """Let the place select this card."""
        self.post_message(self.Clicked(self))

    def watch_selected(self) -> None:
        """Point at the selected card with a symbol as well."""
        if self.is_mounted:
            self._draw()

    def _draw(self) -> None:
        pointer = "▸ " if self.selected else ""
        self.border_title = f"{pointer}{self.profile}"
        self.border_subtitle = self._mark
        self.query_one(".purpose", Static).update(self._purpose())
        self.query_one(".price", Static).update(self._table())

    def _table(self) -> Table:
        table = Table.grid(expand=True)
        table.add_column(style=MUTED)
        table.add_column(justify="right", no_wrap=True)
        for label, value in self.figures:
            table.add_row(label, value)
        return table

    def _purpose(self) -> Text:
        if self._offer is not None and not self._offer.fits:
            return Text(_("✗ needs more memory"), WRONG)
        text = _("every value, press e") if self._offer is None else self._offer.purpose
        return Text(text, TEXT if self.selected else MUTED)


def _figures(price: "Offer | Price", epochs: int) -> list[tuple[str, str]]:
    return [
        _memory(price),
        (_("time"), "–" if price.seconds is None else duration(price.seconds)),
        (ngettext("epoch", "epochs", epochs), str(epochs)),
    ]


def _memory(price: "Offer | Price") -> tuple[str, str]:
    """Return the peak memory; the label tells a predicted one from a measured one."""
    if not price.peak_memory:
        return _("peak"), "–"
    text = size(price.peak_memory)
    return (_("measured"), text) if price.is_measured else (_("expected"), text)
