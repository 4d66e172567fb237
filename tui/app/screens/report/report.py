"""6 Report: a verdict in words, the numbers behind it, what next."""

import asyncio
from collections.abc import Iterator
from typing import ClassVar

from engine.analysis.facts import RunSummary
from engine.analysis.report import WIDTH
from engine.analysis.summary import summarise
from engine.analysis.verdict import judge
from engine.errors import UserError
from engine.evaluation.kept import KnownEvaluation, known_evaluation
from engine.i18n import _
from tui.app.screens.answers.answers import AnswersScreen
from tui.app.screens.evaluation.evaluation import EvaluationDialog
from tui.app.screens.evaluation.text import summary_line
from tui.app.screens.export.export import ExportDialog
from tui.app.screens.report.charts import (
    chart_writers,
    charts_are_old,
    charts_of,
    charts_told,
    write_report_files,
)
from tui.app.screens.report.checkpoints import CheckpointsScreen
from tui.app.screens.report.keys import REPORT_KEYS, WHY_NOT
from tui.app.screens.report.server_line import ServerLine
from tui.app.screens.report.suggestions import (
    SUGGESTION_KEYS,
    Suggestion,
    SuggestionLine,
    suggestions_of,
)
from tui.app.screens.report.text import meaning, report_text
from tui.app.screens.shared.base import PlaceScreen
from tui.app.screens.shared.computing import busy
from tui.app.screens.shared.copying import ToCopy
from tui.app.screens.shared.verdict_line import VerdictLine
from tui.app.screens.train.questions import train_anew
from tui.run.headline import run_sign
from tui.shell import complete

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Static


class ReportScreen(PlaceScreen):
    """Reads the run whenever it is shown, and draws its charts."""

    PLACE: ClassVar[str] = _("6 Report")
    WHY_NOT = WHY_NOT
    BINDINGS: ClassVar[list[BindingType]] = [*REPORT_KEYS, *SUGGESTION_KEYS]

    def __init__(self) -> None:
        super().__init__()
        self.summary: RunSummary | None = None
        self._evaluation: KnownEvaluation | None = None
        self._drawing = False
        self._suggestions: list[Suggestion] = []

    def compose_body(self) -> ComposeResult:
        """Yield headline, report and the state of the charts."""
        yield VerdictLine(id="report-headline")
        with Horizontal(id="report-main"):
            with VerticalScroll(id="report-scroll"):
                yield Static(id="report-text")
            yield Static(meaning(), id="report-meaning")
        yield SuggestionLine(id="report-suggestions")
        yield ServerLine(id="report-server")
        yield Static(id="report-evaluation")
        yield Static(id="report-charts")

    def on_mount(self) -> None:
        """Follow the run and the server."""
        self.watch(self.app, "run_state", self._run_changed, init=False)
        self.follow("server", self._show_server)

    def on_resize(self) -> None:
        """Break the commands for the new width."""
        self.call_after_refresh(self._show_known)

    def on_screen_resume(self) -> None:
        """Read the run anew."""
        self.after_picture(self._read)

    def _run_changed(self) -> None:
        self._read()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Without a run there is nothing to draw, list, export or talk to."""
        if action == "serve":
            return self.summary is not None or self.mqlora.server is not None
        if action == "suggestion":
            return parameters[0] in range(len(self._suggestions))
        if action in ("charts", "answers", "checkpoints", "evaluate", "save", "export", "chat"):
            return self.summary is not None
        return super().check_action(action, parameters)

    def action_charts(self) -> None:
        """Draw both pictures again."""
        self._draw()

    def action_checkpoints(self) -> None:
        """List the checkpoints."""
        if self.summary:
            self.app.push_screen(CheckpointsScreen(self.summary))

    def action_answers(self) -> None:
        """Show what the model answered, from step to step."""
        self.app.push_screen(AnswersScreen())

    def action_serve(self) -> None:
        """Start the server, or end it."""
        self.mqlora.serve_or_stop(lambda: self.mqlora.run_state.is_training)

    def action_export(self) -> None:
        """Ask for what program, unless something else computes."""
        if refusal := busy(self.mqlora):
            self.show_error(refusal)
        elif self.summary:
            self.app.push_screen(ExportDialog(self.summary))

    def action_evaluate(self) -> None:
        """Show what an evaluation found, or make one; what it found is in the report afterwards."""
        self.app.push_screen(EvaluationDialog(), lambda _closed: self._run_changed())

    def stop_work(self) -> bool:
        """End the server."""
        if self.mqlora.server is None:
            return False
        self.mqlora.stop_serving()
        return True

    def action_suggestion(self, index: int) -> None:
        """Do what is suggested; ask first where a run is archived for it."""
        suggestion = self._suggestions[index]
        values = suggestion.values
        if values is None:
            self.mqlora.run_in_turn(suggestion.action)
        else:
            self.app.push_screen(train_anew(suggestion.text), lambda yes: self._anew(values) if yes else None)

    def _anew(self, values: dict[str, str]) -> None:
        """Archive the run and train with the selected settings, some of them changed."""
        try:
            config = self.mqlora.config.updated(values)
            self.mqlora.training.start(config, "restart")
            self.mqlora.choose_config(config)
        except UserError as error:
            self.show_error(error)
            return
        self.mqlora.look_at_run()
        self.app.switch_mode("train")

    def to_copy(self) -> Iterator[ToCopy]:
        """Yield also every command of the report, the server's address, and the paths of what there is."""
        yield from super().to_copy()
        if self.summary is None:
            return
        verdict = judge(self.summary)
        for advice in verdict.advice:
            yield ToCopy(_("advice"), advice.text)
            yield ToCopy(_("command"), complete(advice.command))
        for step in verdict.next_steps:
            yield ToCopy(step.text, complete(step.command))
        if self.mqlora.server and self.mqlora.server.ready:
            yield ToCopy(_("address"), self.mqlora.server.ready.url)
        paths = (self.summary.adapters, *charts_of(self.mqlora.project))
        yield from (ToCopy(_("path"), str(path)) for path in paths if path and path.exists())

    def action_chat(self) -> None:
        """Go and talk to the result."""
        self.app.switch_mode("chat")

    @work(group="report", exit_on_error=False)
    async def _read(self) -> None:
        """Sum the run up in a thread, and draw it if its pictures are out of date."""
        project = self.mqlora.project
        try:
            self.summary = await asyncio.to_thread(summarise, project)
            self._evaluation = await asyncio.to_thread(known_evaluation, project)
        except UserError:
            self.summary = None
            self._show_empty()
        else:
            self._show(self.summary)
        self.refresh_bindings()
        if self.summary and not self.mqlora.run_state.is_training and charts_are_old(project, self.summary):
            self._draw()

    def _show_known(self) -> None:
        if self.summary:
            self._show(self.summary)

    def _show(self, summary: RunSummary) -> None:
        verdict = judge(summary)
        self._suggestions = suggestions_of(verdict)
        self.query_one(SuggestionLine).show(self._suggestions)
        self.query_one(VerdictLine).show(run_sign(summary, verdict), verdict.headline)
        text = self.query_one("#report-text", Static)
        text.update(report_text(summary, verdict, text.content_size.width or WIDTH))
        self._show_evaluation()
        self._show_charts()

    def _show_empty(self) -> None:
        self._suggestions = []
        self.query_one(SuggestionLine).show([])
        self.query_one(VerdictLine).show_waiting(_("No run yet. Press 4 to train."))
        self.query_one("#report-text", Static).update("")
        self.query_one("#report-charts", Static).update("")
        self._show_evaluation()

    def _show_evaluation(self) -> None:
        """Say what an evaluation found; nothing where there is no adapter to evaluate."""
        line = self.query_one("#report-evaluation", Static)
        line.display = bool(self.summary and self.summary.adapters)
        line.update(summary_line(self._evaluation))

    def _show_server(self) -> None:
        self.query_one(ServerLine).show(self.mqlora.server)
        self.refresh_bindings()

    def _show_charts(self) -> None:
        self.query_one("#report-charts", Static).update(charts_told(self.mqlora.project, self._drawing))

    @work(group="saving", exclusive=True, exit_on_error=False)
    async def action_save(self) -> None:
        """Write the report's files in a thread."""
        self.mqlora.notice = _("Writing the report …")
        try:
            page = await asyncio.to_thread(write_report_files, self.mqlora.project)
        except UserError as error:
            self.mqlora.notice = ""
            self.show_error(error)
        else:
            path = page.relative_to(self.mqlora.project.root)
            self.mqlora.notice = _("{path} written, with report.md and charts beside it").format(path=path)

    @work(group="charts", exit_on_error=False)
    async def _draw(self) -> None:
        """Draw both pictures in a thread, one drawing at a time."""
        if self._drawing:
            return
        self._drawing = True
        self._show_charts()
        try:
            for write in await asyncio.to_thread(chart_writers):
                await asyncio.to_thread(write, self.mqlora.project)
        except UserError as error:
            self.show_error(error)
        finally:
            self._drawing = False
            self._show_charts()
