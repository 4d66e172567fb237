"""7 History: every run of the project, what differs between them, and what can be done with each."""

import asyncio
import os
from pathlib import Path
from typing import ClassVar

from engine.i18n import _
from engine.runs.places import RunPlace
from engine.runs.record import RunRecord
from tui.app.jobs.history import RunLister, curves_in
from tui.app.screens.answers.answers import AnswersScreen
from tui.app.screens.evaluation.evaluation import EvaluationDialog
from tui.app.screens.export.export import ExportDialog
from tui.app.screens.history.about import about, legend
from tui.app.screens.history.changing import ChangingScreen
from tui.app.screens.history.chat import ArchivedChatScreen
from tui.app.screens.history.dialogs import DifferencesScreen, RunReportScreen
from tui.app.screens.history.keys import HISTORY_KEYS, why_not
from tui.app.screens.history.overlay_plot import DrawnRun, OverlayPlot
from tui.app.screens.history.run_table import RunTable
from tui.app.screens.shared.computing import busy
from tui.app.screens.shared.lines import SteadyText
from tui.app.screens.shared.verdict_line import VerdictLine
from tui.run.headline import run_sign
from tui.run.status import UNFINISHED

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content

_LETTERS = "abcd"
"""Signs of the runs that are drawn together; no more have room in one chart."""
_ALONE = "○"
"""Sign of the run under the cursor while none is chosen."""
LOOK_SECONDS = 4.0
"""Time between two looks at the files: each change of a run that goes on draws its line anew."""


class HistoryScreen(ChangingScreen):
    """Reads the runs when it is shown and when their files change, a few at a time."""

    PLACE: ClassVar[str] = _("7 History")
    BINDINGS: ClassVar[list[BindingType]] = HISTORY_KEYS

    def __init__(self) -> None:
        super().__init__()
        self._chosen: dict[Path, str] = {}
        """Sign of each run that is drawn together with others, by its folder."""
        self._stamp: object = None
        """What the files were when they were read last."""
        self._reads = False

    def compose_body(self) -> ComposeResult:
        """Yield the list, what is known of the run under the cursor, and the chart."""
        yield self._table
        yield VerdictLine(id="history-headline")
        yield SteadyText(id="history-about")
        yield SteadyText(id="history-legend")
        yield OverlayPlot()

    def on_mount(self) -> None:
        """Follow the run."""
        self._lister = RunLister(self.mqlora.project)
        self.set_interval(LOOK_SECONDS, self._look)
        self.watch(self.app, "run_state", self._run_changed, init=False)
        self._table.focus()

    def on_screen_resume(self) -> None:
        """Read the runs anew."""
        self.after_picture(self.read_runs)

    def _run_changed(self) -> None:
        if self.is_current:
            self.read_runs()

    @work(group="history-look", exclusive=True, exit_on_error=False)
    async def _look(self) -> None:
        """Read the runs anew if a file was written since; a few questions to the disk tell."""
        if self.is_current and not self._reads:
            stamp = await asyncio.to_thread(self._lister.stamp)
            if stamp != self._stamp and not self._reads:
                self.read_runs()

    @property
    def _record(self) -> RunRecord | None:
        return self._table.record_of(self._table.place)

    # Reading and showing

    def read_runs(self) -> None:
        """List the runs at once, and say what is known of each as soon as it is."""
        self._read()

    @work(group="history", exclusive=True, exit_on_error=False)
    async def _read(self) -> None:
        self._reads = True
        try:
            self._stamp = await asyncio.to_thread(self._lister.stamp)
            await self._read_all()
        finally:
            self._reads = False

    def keep_mark(self, before: RunPlace, now: RunPlace) -> None:
        """Let a run that was renamed stay marked."""
        if sign := self._chosen.pop(before.folder, ""):
            self._chosen[now.folder] = sign

    async def _read_all(self) -> None:
        places = await asyncio.to_thread(self._lister.places)
        folders = {place.folder for place in places}
        self._chosen = {folder: sign for folder, sign in self._chosen.items() if folder in folders}
        self._table.list_places(places)
        self._table.sign(self._chosen)
        self._show_highlighted()
        line_of = {place.folder: line for line, place in enumerate(places)}
        while places:
            places.sort(key=lambda place: abs(line_of[place.folder] - self._table.cursor))
            records = await asyncio.to_thread(self._lister.describe, places)
            places = places[len(records) :]
            self._table.add(records)
            self._show_highlighted()
        self._draw()

    @on(RunTable.Highlighted)
    def _follow_cursor(self) -> None:
        self._show_highlighted()
        if not self._chosen:
            self._draw()

    def _show_highlighted(self) -> None:
        """Say what is known of the run under the cursor."""
        line, said, record = self.query_one(VerdictLine), Content(""), self._record
        if self._table.place is None:
            line.show_waiting(_("No run yet. Press 4 to train."))
        elif record is None:
            line.show_waiting(_("Reading {name} …").format(name=self._table.place.label))
        else:
            said = about(record, self._table.settings)
            if record.summary and record.verdict:
                line.show(run_sign(record.summary, record.verdict), record.verdict.headline)
            else:
                line.show("error", f"{record.problem}.")
        self.query_one("#history-about", SteadyText).say(said)
        self.refresh_bindings()

    @work(group="history-curves", exclusive=True, exit_on_error=False)
    async def _draw(self) -> None:
        """Read the curves of the chosen runs, or of the one under the cursor, and draw them."""
        plot, alone = self.query_one(OverlayPlot), self._table.place
        signs = self._chosen or ({alone.folder: _ALONE} if alone else {})
        places = [place for place in self._table.places if place.folder in signs]
        columns = max(20, plot.size.width)
        curves = [await asyncio.to_thread(curves_in, place, columns) for place in places]
        drawn = [
            (place, DrawnRun(sign, found, max(0, _LETTERS.find(sign))))
            for place, found in zip(places, curves, strict=True)
            for sign in signs[place.folder]
            if not found.is_empty
        ]
        self.query_one("#history-legend", SteadyText).say(legend(drawn, plot))
        plot.show([run for _place, run in drawn])

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer what can be done with the run under the cursor."""
        record, place = self._record, self._table.place
        if action in ("report", "choose", "note", "differences", "chat", "answers", "evaluate", "export"):
            return record is not None and record.summary is not None and self._can(action, record)
        if action in ("rename", "delete"):
            return place is not None and place.can_be_changed
        if action == "archive":
            return place is not None and place.is_present and not self.mqlora.run_state.is_training
        if action == "resume":
            return record is not None and self._can_resume(record)
        return super().check_action(action, parameters)

    def why_not(self, action: str) -> str:
        """Say what the run under the cursor is not."""
        place, is_training = self._table.place, self.mqlora.run_state.is_training
        return why_not(action, place is not None, place is not None and place.is_present, is_training)

    def _can(self, action: str, record: RunRecord) -> bool:
        """Whether an action makes sense for a run that is read."""
        if action == "differences":
            return len(self._chosen) == 2
        if action in ("chat", "evaluate"):
            return record.place.project.found_adapter is not None
        if action == "answers":
            return record.place.is_present or os.path.lexists(record.place.project.answers_file)
        if action == "export":
            return record.place.project.found_adapter is not None and record.summary is not None
        return True

    def _can_resume(self, record: RunRecord) -> bool:
        run = record.summary
        if run is None or run.status == "finished" or run.way_on != "checkpoint":
            return False
        return (
            self.mqlora.run_state.phase in UNFINISHED
            if record.place.is_present
            else record.place.can_be_changed
        )

    def action_choose(self) -> None:
        """Draw the run beside the others, or take it out."""
        place = self._table.place
        if place is None:
            return
        if self._chosen.pop(place.folder, None) is None:
            free = [letter for letter in _LETTERS if letter not in self._chosen.values()]
            if not free:
                self.mqlora.show_notice(_("Four runs are drawn; Space on one of them takes it out."))
                return
            self._chosen[place.folder] = free[0]
        self._table.sign(self._chosen)
        self.refresh_bindings()
        self._draw()

    def action_differences(self) -> None:
        """Compare the two chosen runs."""
        places = [place for place in self._table.places if place.folder in self._chosen]
        records = [record for place in places if (record := self._table.record_of(place))]
        if len(records) == 2:
            self.app.push_screen(
                DifferencesScreen(*sorted(records, key=lambda one: self._chosen[one.place.folder]))
            )

    def action_report(self) -> None:
        """Show the report of the run."""
        record = self._record
        if record and record.summary and record.verdict:
            self.app.push_screen(RunReportScreen(record.place, record.summary, record.verdict))

    def action_chat(self) -> None:
        """Talk to the result: of the present run in its own place."""
        if (record := self._record) is None:
            return
        if record.place.is_present:
            self.app.switch_mode("chat")
        else:
            self.app.push_screen(ArchivedChatScreen(record.place))

    def action_answers(self) -> None:
        """Show what this run's model answered, from step to step."""
        if record := self._record:
            present = record.place.is_present
            self.app.push_screen(AnswersScreen(None if present else record.place.project))

    def action_evaluate(self) -> None:
        """Show what an evaluation found, or make one."""
        if record := self._record:
            self.app.push_screen(EvaluationDialog(record.place.project))

    def action_export(self) -> None:
        """Ask for what program, unless something else computes."""
        if refusal := busy(self.mqlora):
            self.show_error(refusal)
        elif (record := self._record) and record.summary:
            self.app.push_screen(ExportDialog(record.summary, record.place.project))
