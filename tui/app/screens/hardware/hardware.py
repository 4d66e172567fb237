"""1 Hardware: can this machine do it, and if not, what is to be done?"""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from engine.errors import UserError
from engine.hardware.report import ORDER, Check
from engine.hardware.terminal import check_terminal
from engine.i18n import _
from engine.sanitize import printable
from engine.shell import ended
from engine.symbols import SYMBOLS
from tui.app.keys import NO_SAMPLE, SAMPLE_KEY
from tui.app.screens.hardware.check_list import NEXT_KEY, CheckList
from tui.app.screens.shared.base import PlaceScreen
from tui.app.screens.shared.copying import ToCopy, of_sentence
from tui.app.screens.shared.verdict_line import STYLES, VerdictLine
from tui.shell import complete

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.widgets import OptionList, Static

if TYPE_CHECKING:
    from engine.model_store.get import Brought

_SEVERITY = {"error": 0, "warning": 1, "ok": 2}


class HardwareScreen(PlaceScreen):
    """A verdict, one row per thing looked at, and what to do about the selected one."""

    PLACE: ClassVar[str] = _("1 Hardware")
    WHY_NOT = {"write_demo": NO_SAMPLE}  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        NEXT_KEY,
        Binding("r", "check", _("Check again"), tooltip=_("Look at the machine again"), id="hardware.check"),
        Binding(
            "g",
            "get_model",
            _("Models"),
            tooltip=_("Bring a base model into models/: from this machine, or from the hub"),
            id="hardware.get",
        ),
        SAMPLE_KEY,
    ]

    def compose_body(self) -> ComposeResult:
        """Yield verdict, list and detail."""
        yield VerdictLine()
        with Container(id="machine"):
            yield CheckList(id="checks")
            with VerticalScroll(id="check-detail"):
                yield Static(id="check-text")

    def on_mount(self) -> None:
        """Follow the machine check."""
        self.follow("checks", self._show_checks)
        self.follow("hardware", self._show_report)
        self.follow("recommendation", self._show_verdict)
        self.follow("writing", self._show_verdict)
        self.query_one(CheckList).focus()

    def on_resize(self) -> None:
        """Look at the terminal again."""
        if any(check.id == "terminal" for check in self.mqlora.checks):
            self._look_at_terminal()

    @work(group="terminal", exclusive=True, exit_on_error=False)
    async def _look_at_terminal(self) -> None:
        found = await asyncio.to_thread(check_terminal, size=self.app.size)
        self.mqlora.checks = tuple(found if check.id == found.id else check for check in self.mqlora.checks)

    def action_check(self) -> None:
        """Look at the machine again."""
        self.clear_error()
        self.mqlora.start_hardware_check()

    def action_write_demo(self) -> None:
        """Write the built-in model and the sample data into the project."""
        self.clear_error()
        self.mqlora.start_demo()

    def action_get_model(self) -> None:
        """Choose a base model, and look at the machine again when it is there."""
        from tui.app.screens.models.models import ModelsDialog

        report = self.mqlora.hardware
        if report is None:
            self.show_error(UserError(_("The machine is still being looked at"), _("wait for that")))
            return
        self.clear_error()
        self.app.push_screen(ModelsDialog(report), self._model_is_there)

    def to_copy(self) -> Iterator[ToCopy]:
        """Yield also what is said of the highlighted row."""
        yield from super().to_copy()
        option = self.query_one(CheckList).highlighted_option
        for check in self.mqlora.checks:
            if option and check.id == option.id:
                yield ToCopy(check.label, printable(check.value))
                yield from of_sentence(_("fix"), printable(check.fix))

    def _model_is_there(self, brought: "Brought | None") -> None:
        if brought is None:
            return
        text = _("{name} is in models/.")
        if brought.name != (self.mqlora.config.model or next(iter(self.mqlora.project.models()), "")):
            text = _("{name} is in models/; to train with it choose it as 'model' on the profiles.")
        self.mqlora.look_again(text.format(name=brought.name))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer the sample only where a model or data is missing."""
        if action == "write_demo":
            return not self.mqlora.writing and any(
                check.id in ("model", "data") and check.status == "error" for check in self.mqlora.checks
            )
        return super().check_action(action, parameters)

    def action_go_on(self) -> None:
        """Go on to the profiles."""
        self.app.switch_mode("profile")

    @on(OptionList.OptionHighlighted)
    def _show_detail(self, event: OptionList.OptionHighlighted) -> None:
        for check in self.mqlora.checks:  # none has that id once a new check has begun
            if check.id == event.option_id:
                self.query_one("#check-text", Static).update(_detail(check))
                self.query_one("#check-detail").scroll_home(animate=False)

    def _show_checks(self) -> None:
        """Draw what was found so far, in the usual order."""
        ordered = sorted(self.mqlora.checks, key=lambda check: ORDER.index(check.id))
        self.query_one(CheckList).show(tuple(ordered))
        self._show_verdict()

    def _show_report(self) -> None:
        """Draw everything, and select what needs attention most."""
        self._show_checks()
        if report := self.mqlora.hardware:
            worst = min(report.checks, key=lambda check: _SEVERITY[check.status])
            self.query_one(CheckList).select(worst)

    def _show_verdict(self) -> None:
        report, verdict = self.mqlora.hardware, self.query_one(VerdictLine)
        self.refresh_bindings()
        if self.mqlora.writing:
            verdict.show_waiting(f"{self.mqlora.writing} …")
            return
        if report is None:
            verdict.show_waiting(_("Looking at this machine …"))
            return
        faults = [check for check in report.checks if check.status == "error"]
        if not faults:
            advice = self.mqlora.recommendation
            ready = _("Ready.") if advice is None else _("Ready for {name}.").format(name=advice.name)
            verdict.show(report.status, ready, advice.reason if advice else "")
        else:
            names = ", ".join(check.label for check in faults)
            verdict.show("error", _("Not ready yet."), _("To be fixed: {names}.").format(names=names))


def _detail(check: Check) -> Content:
    """Say all that was found, for what the list may cut, and what is to be done about it."""
    lines = [
        Content.assemble(
            (f"{SYMBOLS[check.status]} ", STYLES[check.status]),
            (f"{check.label}: ", "bold"),
            printable(check.value),
        )
    ]
    if check.detail:
        lines.append(Content(f"{printable(check.detail).rstrip('.')}."))
    if check.fix:
        fix = complete(ended(printable(check.fix)))
        lines.append(Content.assemble((_("Fix: "), "$muted"), fix))
    elif check.status == "ok":
        lines.append(Content.styled(_("Nothing to do here."), "$muted"))
    return Content("\n").join(lines)
