"""The charts of a run: a plot, what it shows in words, and what its keys do."""

import asyncio
from dataclasses import replace
from pathlib import Path

from engine.analysis.chart_series import ChartData, csv_of
from engine.analysis.facts import RunSummary
from engine.errors import UserError
from engine.i18n import _, ngettext, number
from engine.project import Project
from engine.sanitize import one_line
from engine.training.state import RunState
from tui.app.screens.shared.lines import SteadyText
from tui.app.screens.shared.note_line import NoteAdded
from tui.app.screens.train.chart_keys import Command
from tui.app.screens.train.loss_legend import LossLegend, read_out, signs, words
from tui.app.screens.train.loss_plot import LossPlot
from tui.run.chart_view import LEAST_STEPS, ChartView

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message

_MOST_COPIED = 48_000
"""Bytes of CSV that are copied: terminals take some 64 KiB, and it is sent as base64, a third longer."""
_ON_A_PART: tuple[Command, ...] = ("earlier", "later")
_ON_STEPS: tuple[Command, ...] = (
    *("left", "right", "first", "last", "closer", "hold", "measure", "axis", "smoother", "rougher"),
    *("copy", "save"),
)


class Charts(Vertical):
    """Shows one quantity of a run at a time; the cursor, the zoom and all else is moved by keys."""

    class Refused(Message):
        """A chart could not be saved."""

        def __init__(self, error: UserError) -> None:
            super().__init__()
            self.error = error

    def __init__(self, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._plot = LossPlot(id="train-plot")
        self._data = ChartData()
        self._run: RunSummary | None = None
        self._is_training = False
        self._is_saving = False

    def compose(self) -> ComposeResult:
        """Yield what is shown, the meaning of the signs, and the plot."""
        yield SteadyText(id="train-view")
        yield LossLegend(id="train-legend")
        yield self._plot

    @property
    def view(self) -> ChartView:
        """How the run is looked at."""
        return self._plot.view

    def follow(self, data: ChartData) -> None:
        """Take what there is of a run; it is drawn when it is time."""
        self._data = data
        self._plot.show(data)

    def show(self, run: RunSummary, is_training: bool) -> None:
        """Bring the words up to date."""
        self._run, self._is_training = run, is_training
        self._show_words()

    def can(self, command: object) -> bool:
        """Whether a key does something now."""
        if command == "leave":
            return self.view.cursor is not None
        if command in _ON_A_PART:
            return not self.view.is_whole
        if command == "wider":
            return not self.view.is_whole and len(self._data.history) > LEAST_STEPS
        return len(self._data.history) > 0 if command in _ON_STEPS else not self._data.is_empty

    def do(self, command: Command) -> None:
        """Do what a key says."""
        if command == "copy":
            self._copy()
        elif command == "save":
            self._save()
        else:
            self._look(self._changed(command))

    def _changed(self, command: Command) -> ChartView:
        view, plot = self.view, self._plot
        count = len(plot.series)
        first, past = view.rows(count)
        stride = max(1, round((past - first) / plot.columns))
        match command:
            case "left" | "right":
                return view.moved(-stride if command == "left" else stride, count)
            case "first" | "last":
                return view.pointed(first if command == "first" else past - 1, count) if count else view
            case "leave":
                return replace(view, cursor=None)
            case "closer" | "wider":
                return view.zoomed(command == "closer", count)
            case "earlier" | "later":
                return view.panned(-1 if command == "earlier" else 1, count)
            case "third":
                return view.third(count)
            case "hold":
                return view.held(count)
            case "measure":
                return view.with_next_measure()
            case "axis":
                return view.with_next_axis()
            case "log":
                return replace(view, is_log=not view.is_log)
            case _:
                return view.smoothed(1 if command == "smoother" else -1, self._data)

    def _look(self, view: ChartView) -> None:
        self._plot.look(view)
        self._show_words()
        self.screen.refresh_bindings()

    @on(LossPlot.Pointed)
    def _point(self, message: LossPlot.Pointed) -> None:
        self._look(self.view.pointed(message.row, len(self._plot.series)))

    @on(LossPlot.Drawn)
    def _show_words(self) -> None:
        if self._run is None:
            return
        plot = self._plot
        self.query_one("#train-view", SteadyText).say(words(plot.view, self._data, self._is_training))
        reading = plot.reading
        text = read_out(reading, plot.view) if reading else signs(self._run, self._data, plot.view)
        self.query_one(LossLegend).say(text)

    def _copy(self) -> None:
        series = self._plot.series
        first, past = self.view.rows(len(series))
        if past <= first:
            return
        text, every = csv_of(series, first, past, _MOST_COPIED)
        self.app.copy_to_clipboard(text)
        steps = ngettext("{n} step", "{n} steps", past - first).format(n=number(past - first))
        if every == 1:
            notice = _("Copied {steps} as CSV.").format(steps=steps)
        else:
            notice = _(
                "Copied one in {every:,} of {steps} as CSV: a terminal takes no more. Zoom in to copy each."
            ).format(every=every, steps=steps)
        self.post_message(NoteAdded(notice))

    @work(group="chart", exit_on_error=False)
    async def _save(self) -> None:
        """Draw a picture in a thread, one at a time."""
        if self._is_saving:
            return
        self._is_saving = True
        project: Project = self.app.project  # type: ignore[attr-defined]
        self.post_message(NoteAdded(_("Drawing the chart …")))
        try:
            path = await asyncio.to_thread(self._write, project)
            name = one_line(str(path.relative_to(project.root)), 200)
            self.post_message(NoteAdded(_("Saved {path}").format(path=name)))
        except UserError as error:
            self.post_message(self.Refused(error))
        finally:
            self._is_saving = False

    def _write(self, project: Project) -> Path:
        from engine.analysis.charts import write_chart  # matplotlib takes a second

        series, view = self._plot.series, self.view
        rows = view.rows(len(series))
        return write_chart(project, series, rows, view.is_log, RunState.load(project.state_file))
