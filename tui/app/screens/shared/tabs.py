"""The places, the present one marked; each is opened by a click or its number."""

from tui.app.keys import PLACES, going_to
from tui.app.screens.shared.clicks import doing

from textual.content import Content
from textual.widgets import Static


def place_title(mode: str) -> str:
    """Return number and name of a place, such as "1 Hardware"; empty for what is none."""
    return f"{list(PLACES).index(mode) + 1} {PLACES[mode]}" if mode in PLACES else ""


def place_tabs(present: str, with_names: bool) -> Content:
    """Return the places in the order of their numbers.

    Args:
        present: number and name of the present place, such as "1 Hardware", and of what is open in it.
        with_names: whether all have their names, or only the present one.
    """
    parts = []
    for number, (mode, name) in enumerate(PLACES.items(), start=1):
        is_present = present.startswith(f"{number} ")
        shown = present if is_present else f"{number} {name}" if with_names else str(number)
        text = Content.styled(shown, "bold $accent" if is_present else "$muted")
        parts.append(doing(text, going_to(mode)))
    return Content("  " if with_names else " ").join(parts)


class PlaceTabs(Static):
    """One line with all names, where there are columns for it."""

    auto_links = False

    def __init__(self, place: str) -> None:
        """Prepare the line for the place called `place`."""
        super().__init__(place_tabs(place, with_names=True), classes="place-tabs")
