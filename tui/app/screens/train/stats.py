"""The numbers of a run: a few dense lines on a small terminal, a panel on a large one."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from engine.analysis.outcome import outcome_of
from engine.i18n import _, number
from engine.units import rate, signed
from tui.app.screens.shared.lines import Lines
from tui.run.figures import RunFigures

from rich.style import Style
from rich.text import Text

Mood = Literal["plain", "ok", "warning", "error"]

PANEL_WIDTH = 40
"""At most this wide it is a panel."""
_ARROWS = {-1: "↓", 0: "→", 1: "↑"}
_MISSING = "–"
_LABEL_CELLS, _VALUE_CELLS, _COLUMN_CELLS = 15, 9, 18
_GRID = (
    ("training", "validation", "rate", "gap"),
    ("speed", "step", "norm", "memory"),
    ("padding", "shapes", "evaluation", "swap"),
)
"""Numbers of each line where there is little room; the widest stands last."""
_MOST_EPOCHS = 4


@dataclass(frozen=True)
class Stat:
    """One number with its name."""

    key: str
    label: str
    short: str
    """The name where there is little room."""
    value: str
    note: str = ""
    """Unit or judgement, after the value."""
    mood: Mood = "plain"
    """Colour of the note; its words say the same."""


class RunStats(Lines):
    """Shows the present numbers; lays them out by its own width."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"run-stats--{name}" for name in ("label", "title", "plain", "ok", "warning", "error")
    }
    DEFAULT_CSS = """
    RunStats {
        height: 4;
        .run-stats--label { color: $muted; }
        .run-stats--title { color: $accent; text-style: bold; }
        .run-stats--plain { color: $foreground; }
        .run-stats--ok { color: $success; }
        .run-stats--warning { color: $warning; }
        .run-stats--error { color: $error; }
    }
    """

    def __init__(self, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._groups: list[tuple[str, list[Stat]]] = []

    def show(self, figures: RunFigures) -> None:
        """Show the present numbers."""
        groups = groups_of(figures)
        if groups != self._groups:
            self._groups = groups
            self._lay_out()

    def on_resize(self) -> None:
        """Choose the layout again."""
        self._lay_out()

    def _lay_out(self) -> None:
        if self._groups:
            self.show_lines(self._panel() if self.size.width <= PANEL_WIDTH else self._grid())

    def _panel(self) -> list[Text]:
        lines: list[Text] = []
        for title, stats in self._groups:
            if stats:
                lines += [Text(title, self._style("title")), *map(self._panel_line, stats), Text()]
        return lines

    def _panel_line(self, stat: Stat) -> Text:
        return Text.assemble(
            (f"{stat.label:<{_LABEL_CELLS}}", self._style("label")),
            (f"{stat.value:>{_VALUE_CELLS}}", self._style("plain")),
            (f" {stat.note}", self._style(stat.mood if stat.mood != "plain" else "label")),
        )

    def _grid(self) -> list[Text]:
        stats = {stat.key: stat for _title, group in self._groups for stat in group}
        rows = [[stats[key] for key in row if key in stats] for row in _GRID]
        return [self._grid_line(row) for row in (*rows, self._groups[-1][1]) if row]

    def _grid_line(self, stats: list[Stat]) -> Text:
        line = Text()
        for stat in stats:
            line.append_text(self._cell(stat))
            line.append(" " * max(2, -line.cell_len % _COLUMN_CELLS))
        return line

    def _cell(self, stat: Stat) -> Text:
        return Text.assemble(
            (f"{stat.short} " if stat.short else "", self._style("label")),
            (stat.value, self._style("plain")),
            (
                f" {stat.note}" if stat.note else "",
                self._style(stat.mood if stat.mood != "plain" else "label"),
            ),
        )

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"run-stats--{name}", partial=True)


def groups_of(figures: RunFigures) -> list[tuple[str, list[Stat]]]:
    """Return the numbers in groups; a group is a line of the grid or a section of the panel."""
    return [
        (_("Loss"), _loss(figures)),
        (_("Step"), _step(figures)),
        (_("Resources"), _resources(figures)),
        (_("Mean loss per epoch"), _epochs(figures)),
    ]


def _loss(figures: RunFigures) -> list[Stat]:
    run = figures.summary
    arrow = _ARROWS[figures.trend] if figures.trend is not None else ""
    word, mood = _gap_words(figures)
    best = _("step {step}").format(step=number(run.best_step)) if run.best_step is not None else ""
    return [
        Stat("training", _("training"), _("loss"), _number(run.last_loss), arrow),
        Stat("validation", _("validation"), _("val"), _number(figures.validation)),
        Stat("gap", _("gap"), _("gap"), _MISSING if run.gap is None else signed(run.gap, 2), word, mood),
        Stat("best", _("best"), _("best"), _number(run.best_val_loss), best),
    ]


def _gap_words(figures: RunFigures) -> tuple[str, Mood]:
    """Judge the growth of the gap in words: up to 0.2 is healthy, above 0.5 overfitting."""
    if outcome_of(figures.summary) == "diverged":
        return _("✗ diverged"), "error"
    words: dict[str, tuple[str, Mood]] = {
        "unknown": ("", "plain"),
        "none": (_("✓ healthy"), "ok"),
        "slight": (_("! attention"), "warning"),
        "significant": (_("✗ overfitting"), "error"),
    }
    return words[figures.summary.overfitting]


def _step(figures: RunFigures) -> list[Stat]:
    pace = figures.seconds_per_step
    per_step, unit = (
        (number(pace * 1000, ".0f"), "ms") if pace is not None and pace < 1 else (_number(pace, ".1f"), "s")
    )
    return [
        Stat("rate", _("learning rate"), _("lr"), _rate(figures.learning_rate)),
        Stat("norm", _("gradient norm"), _("grad"), _number(figures.grad_norm)),
        Stat("speed", _("speed"), "", _number(figures.tokens_per_second, ",.0f"), _("tok/s")),
        Stat("step", _("one step"), _("step"), per_step, unit),
    ]


def _resources(figures: RunFigures) -> list[Stat]:
    run, usage = figures.summary, figures.usage
    total = _("of {gb:.1f} GB").format(gb=run.machine_memory_gb) if run.machine_memory_gb else _("GB")
    if run.ranks > 1:
        total = _("GB (1/{count})").format(count=run.ranks)  # processes: that of the others is not known
    return [
        Stat("memory", _("peak memory"), _("memory"), _number(run.peak_memory_gb), total),
        Stat("swap", _("swap in use"), _("swap"), _number(figures.swap_gb, ".1f"), _("GB")),
        Stat("padding", _("padding"), _("padding"), _percent(usage.padding), "%"),
        Stat("shapes", _("batch shapes"), _("shapes"), _number(usage.shapes or None, "d")),
        Stat("evaluation", _("in validation"), _("eval"), _percent(usage.evaluation), "%"),
    ]


def _epochs(figures: RunFigures) -> list[Stat]:
    """Return the mean losses of the last epochs."""
    losses = figures.summary.epoch_losses[-_MOST_EPOCHS:]
    name = _("epoch {n}")
    return [Stat("epoch", name.format(n=e + 1), name.format(n=e + 1), _number(loss)) for e, loss in losses]


def _number(value: float | None, form: str = ".2f") -> str:
    if value is None:
        return _MISSING
    return number(value, form) if math.isfinite(value) else "NaN"


def _rate(value: float | None) -> str:
    return _MISSING if value is None else rate(value) if value else "0"


def _percent(share: float | None) -> str:
    return _number(share * 100 if share is not None else None, ".0f")
