"""The rows of the list of models: what was begun, what is on this machine, what is offered."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.hardware.report import HardwareReport
from engine.i18n import _
from engine.model_store.get import OnHub
from engine.model_store.look import FoundModel, advised_profile
from engine.model_store.shortlist import SHORTLIST
from engine.model_store.unfinished import Unfinished
from engine.sanitize import one_line
from engine.symbols import SYMBOLS
from engine.units import size
from tui.app.theme import COLOURS, MUTED

from rich.table import Table
from rich.text import Text
from textual.widgets import OptionList
from textual.widgets.option_list import Option

_PLACES = {
    "project": "models/",
    "huggingface": _("Hugging Face's cache"),
    "lm_studio": "LM Studio",
    "exo": "exo",
    "ollama": "Ollama",
}


@dataclass(frozen=True)
class ModelRow:
    """One row: a model and what Enter does with it."""

    label: str
    size: int
    """Bytes."""
    fits: str
    """The profile that is advised for it, or why it cannot be used, in a word."""
    detail: str
    """What Enter does, or why it does nothing, in a sentence."""
    wanted: OnHub | Path | None
    """What is brought in; None if that does not go, or is not needed."""
    name: str = ""
    is_linked: bool = False
    is_usable: bool = True
    path: Path | None = None
    """Where it is, if it is on this machine."""
    is_too_large: bool = False
    is_begun: bool = False
    """Whether a part of it was downloaded."""


def rows_of(
    found: Sequence[FoundModel], begun: Sequence[Unfinished], report: HardwareReport
) -> list[ModelRow]:
    """Return what can be chosen from, what is nearest first."""
    return [*map(_begun_row, begun), *map(_found_row, found), *_offered_rows(found, begun, report)]


def _begun_row(one: Unfinished) -> ModelRow:
    text = _("Unfinished: {present} of {total} are here. Enter goes on with it.")
    detail = text.format(present=size(one.present), total=size(one.total))
    wanted = OnHub(one.repository, one.asked)
    return ModelRow(one.repository, one.total, _("unfinished"), detail, wanted, one.name, is_begun=True)


def _found_row(model: FoundModel) -> ModelRow:
    if model.obstacle:
        fits, detail, wanted = model.obstacle, f"{model.problem}. {model.fix}", None
    elif model.place == "project" and not model.command:
        fits, detail, wanted = model.profile or "?", _("It is in models/ already."), None
    else:
        fits, wanted = model.profile or "?", model.path
        text = _("Enter links its files: {path}") if model.path.is_dir() else _("Enter converts it: {path}")
        detail = text.format(path=one_line(str(model.path), 300))
    name = model.name.replace(":", "-") if model.place == "ollama" else ""
    label = f"{model.name}  ({_PLACES[model.place]})"
    is_linked = wanted is not None and model.path.is_dir()
    return ModelRow(label, model.size, fits, detail, wanted, name, is_linked, not model.obstacle, model.path)


def _offered_rows(
    found: Sequence[FoundModel], begun: Sequence[Unfinished], report: HardwareReport
) -> Iterator[ModelRow]:
    """Yield what can be downloaded and is neither here nor begun."""
    known = {one.repository for one in begun}
    known |= {model.source.repository for model in found if model.source and model.place == "project"}
    for offer in SHORTLIST:
        if offer.repository not in known:
            fits = advised_profile(report, offer.dimensions)
            detail = _("Enter downloads about {size} from the hub.").format(size=size(offer.size))
            yield ModelRow(
                offer.repository,
                offer.size,
                fits or _("too large"),
                detail,
                OnHub(offer.repository),
                is_too_large=fits is None,
            )


class ModelList(OptionList):
    """One row per model: its name, size and what fits."""

    def show(self, rows: Sequence[ModelRow], selected: Path | None) -> None:
        """Draw the rows and highlight where to begin.

        Args:
            rows: what there is.
            selected: folder of the model that is trained; None while there is none.
        """
        self.clear_options()
        self.add_options([Option(_drawn(row)) for row in rows])
        self.highlighted = _beginning(rows, selected) if rows else None


def _beginning(rows: Sequence[ModelRow], selected: Path | None) -> int:
    """Return the row of what was begun, else of the selected model, else of the first to be had that fits."""

    def rank(row: ModelRow) -> int:
        if row.is_begun:
            return 0
        if row.is_usable and selected and row.path == selected:
            return 1
        return 2 if row.wanted and not row.is_too_large else 3

    return min(range(len(rows)), key=lambda index: rank(rows[index]))


def _drawn(row: ModelRow) -> Table:
    status = "ok" if row.is_usable else "error"
    table = Table.grid(expand=True, padding=(0, 1, 0, 0))
    table.add_column(width=1)
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column(justify="right", no_wrap=True, width=8)
    table.add_column(no_wrap=True, width=12, overflow="ellipsis")
    table.add_row(
        Text(" " if row.wanted else SYMBOLS[status], style=COLOURS[status]),
        Text(one_line(row.label, 200)),
        Text(size(row.size), style=MUTED),
        Text(row.fits, style=MUTED if row.is_usable else COLOURS["error"]),
    )
    return table
