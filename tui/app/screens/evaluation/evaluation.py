"""The dialog that evaluates the run and shows what was found: is it better, by how much, at what cost."""

import asyncio
from threading import Event
from typing import TYPE_CHECKING, ClassVar

from engine import units
from engine.evaluation.kept import KnownEvaluation, known_evaluation
from engine.evaluation.request import ANSWERED
from engine.i18n import _
from engine.project import Project
from tui.app.jobs import evaluate as evaluation_job
from tui.app.jobs.evaluate import EvaluationMoved, EvaluationOver
from tui.app.screens.evaluation.pair import answered_rows
from tui.app.screens.evaluation.text import results_text
from tui.app.screens.shared.button import Button
from tui.app.screens.shared.computing import busy
from tui.app.screens.shared.news_line import NewsLine
from tui.app.screens.shared.work_dialog import WorkDialog

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

if TYPE_CHECKING:
    pass


class EvaluationDialog(WorkDialog[None]):
    """Shows what is known of the run; evaluates it on request."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,e", "evaluate", _("Evaluate"), id="evaluation.start"),
        Binding("escape,q", "leave", _("Close"), id="evaluation.close"),
        Binding("down,j", "scroll(1)", _("Down"), show=False, id="evaluation.down"),
        Binding("up,k", "scroll(-1)", _("Up"), show=False, id="evaluation.up"),
        Binding("pagedown,space", "page(1)", _("Page down"), show=False, id="evaluation.page_down"),
        Binding("pageup", "page(-1)", _("Page up"), show=False, id="evaluation.page_up"),
    ]

    WHEN_LEFT = _("The evaluation is ended, and nothing of it is kept.")

    def __init__(self, project: Project | None = None) -> None:
        """Prepare the dialog.

        Args:
            project: as the run sees it that is evaluated; None stands for the present run.
        """
        super().__init__()
        self._project = project
        self._known: KnownEvaluation | None = None

    @property
    def _run(self) -> Project:
        """The project as the run sees it."""
        return self._project or self._mqlora.project

    def compose(self) -> ComposeResult:
        """Draw what was found, one line of news and the buttons."""
        with Vertical(classes="dialog evaluation") as box:
            box.border_title = Content(_("Evaluation"))
            with VerticalScroll(id="evaluation-scroll", can_focus=False):
                yield Static(id="evaluation-text")
            yield NewsLine(id="evaluation-news")
            with Horizontal(classes="buttons"):
                yield Button(_("Evaluate"), id="evaluation-start", compact=True)
                yield Button(_("Close"), id="evaluation-close", classes="close", compact=True)

    def on_mount(self) -> None:
        """Look for what is known."""
        self._look()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What is known, and still holds, need not be found again; a short text cannot be scrolled."""
        if action in ("scroll", "page"):
            return (
                bool(self.query("#evaluation-scroll").only_one().max_scroll_y) if self.is_mounted else False
            )
        if action == "evaluate":
            return not self._cancel and not (self._known and self._known.is_current)
        return super().check_action(action, parameters)

    @work(exit_on_error=False)
    async def _look(self) -> None:
        self._say(_("Looking for an evaluation …"))
        self._show(await asyncio.to_thread(known_evaluation, self._run))
        self._say(self._price())

    def _price(self) -> str:
        """Say what evaluating does and how long that takes; empty where it is done."""
        if self._known and self._known.is_current:
            return ""
        text = _(
            "Enter compares the base model, the best and the last adapter on data/test.jsonl, else on "
            "data/valid.jsonl; each of them also answers {rows} at most. Each takes about as long as a "
            "validation and so many replies of the chat."
        )
        return text.format(rows=units.rows(ANSWERED))

    @on(Button.Pressed, "#evaluation-start")
    def action_evaluate(self) -> None:
        """Begin, unless it is under way."""
        if self._cancel:
            return
        if refusal := busy(self._mqlora):
            self._refuse(refusal)
            return
        self._cancel = stop = Event()
        self._offer()
        self._say(_("Starting …"))
        self._mqlora.engine.submit_leavable(evaluation_job.evaluate, self._run, stop, self.post_message)

    def on_evaluation_moved(self, message: EvaluationMoved) -> None:
        """Say how far it is."""
        if self._is_working:
            self._say(
                _("{stage}: {share:.0%}. Esc ends it.").format(stage=message.stage, share=message.share)
            )

    def on_evaluation_over(self, message: EvaluationOver) -> None:
        """Say what came of it."""
        self._cancel = None
        self._offer()
        if message.error:
            self._refuse(message.error)
        elif message.found is None:
            self._say(_("Stopped; nothing of this evaluation is kept."))
        else:
            self._show(KnownEvaluation(message.found, True))
            text = _("What was found could not be kept: {reason}")
            self._say(text.format(reason=message.not_kept) if message.not_kept else "")

    def _show(self, known: KnownEvaluation | None) -> None:
        self._known = known
        box = self.query_one("#evaluation-scroll")
        box.query(".answered-group, .answered-row").remove()
        text = self.query_one("#evaluation-text", Static)
        if known:
            text.update(results_text(known))
            box.mount(*answered_rows(known.found))
        else:
            text.update(Content.styled(_("This run has not been evaluated yet."), "$muted"))
        self._offer()
        box.scroll_home(animate=False)

    def _offer(self) -> None:
        """Offer what can be done now: as key, as a button with the focus, and in the frame."""
        can = bool(self.check_action("evaluate", ()))
        start, close = self.query_one("#evaluation-start"), self.query_one("#evaluation-close")
        start.display = can
        if self._cancel:
            self.set_focus(None)  # Enter, pressed once too often, ends nothing
            keys = _("↑ ↓ scroll, Esc ends it")
        else:
            (start if can else close).focus()
            keys = _("↑ ↓ scroll, Enter evaluates, Esc closes") if can else _("↑ ↓ scroll, Esc closes")
        self.query_one(".evaluation").border_subtitle = Content(keys)
        self.refresh_bindings()

    def action_scroll(self, lines: int) -> None:
        """Scroll by lines."""
        self.query_one("#evaluation-scroll").scroll_relative(y=lines, animate=False)

    def action_page(self, pages: int) -> None:
        """Scroll by what is seen at a time."""
        box = self.query_one("#evaluation-scroll")
        box.scroll_relative(y=pages * max(1, box.size.height - 1), animate=False)
