"""The dialog that chooses which machines or processes train the next run together."""

import asyncio
from pathlib import Path
from typing import ClassVar

from engine.cluster.host_file import read_hosts
from engine.cluster.world import MOST_RANKS, local_world
from engine.errors import UserError
from engine.i18n import _
from engine.project import Project
from engine.sanitize import one_line
from tui.app.screens.import_table.path_suggester import PathSuggester, named_path
from tui.app.screens.machines.form import Kind, MachinesForm
from tui.app.screens.shared.button import Button
from tui.app.screens.shared.dialog import Dialog
from tui.run.machines import THIS_MACHINE, Machines
from tui.shell import complete

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input, Select, Static


class MachinesDialog(Dialog[Machines]):
    """Answers with the machines that were chosen, which are kept by then; with None if none were."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "use", _("Use"), id="machines.use"),
        Binding("escape", "dismiss(None)", _("Close"), id="machines.close"),
        Binding("down", "app.focus_next", _("Next field"), show=False, id="machines.next"),
        Binding("up", "app.focus_previous", _("Previous field"), show=False, id="machines.previous"),
    ]

    def __init__(self, project: Project, chosen: Machines) -> None:
        """Prepare the dialog.

        Args:
            project: whose runs they train.
            chosen: what is chosen by now.
        """
        super().__init__()
        self._project, self._chosen = project, chosen

    def compose(self) -> ComposeResult:
        """Draw the form, one line of news and the buttons."""
        with Vertical(classes="dialog machines") as box:
            box.border_title = Content(_("Machines"))
            box.border_subtitle = Content(_("Space opens a list, Enter takes it, Esc closes"))
            yield MachinesForm(self._chosen, PathSuggester(self._project.root))
            yield Static(id="machines-news")
            with Horizontal(classes="buttons"):
                yield Button(_("Use"), id="machines-use", compact=True)
                yield Button(_("Close"), id="machines-close", compact=True)

    def on_mount(self) -> None:
        """Begin with the kind."""
        self.query_one("#machines-kind").focus()

    @property
    def _form(self) -> MachinesForm:
        return self.query_one(MachinesForm)

    @property
    def _path(self) -> Path | None:
        path = named_path(self._project.root, self._form.text("hosts"))
        return path.absolute() if path else None

    @on(Input.Changed, "#machines-hosts")
    def _look_at_hosts(self) -> None:
        self._show_hosts()

    @on(Select.Changed)
    @on(Input.Changed)
    def _forget_refusal(self) -> None:
        """What was refused is not what is asked for now."""
        self._say(Content(""))

    @work(exclusive=True, group="hosts", exit_on_error=False)
    async def _show_hosts(self) -> None:
        """List the hosts of the file that is typed, once it is one."""
        path = self._path
        try:
            world = await asyncio.to_thread(read_hosts, path) if path else None
        except UserError:  # said when it is taken
            world = None
        self._form.show_hosts(world)

    @on(Input.Submitted)
    @on(Button.Pressed, "#machines-use")
    def action_use(self) -> None:
        """Take what is chosen, unless it cannot be used."""
        self._take()

    @work(exclusive=True, group="take", exit_on_error=False)
    async def _take(self) -> None:
        try:
            machines = await asyncio.to_thread(self._asked, self._form.kind, self._path)
            machines.save(self._project)
        except UserError as error:
            reason = complete(one_line(str(error), 600))
            self._say(Content.assemble(("✗ ", "bold $error"), reason))
        else:
            self.dismiss(machines)

    def _asked(self, kind: Kind, path: Path | None) -> Machines:
        """Return what the form says.

        Raises:
            UserError: it cannot be used.
        """
        goes_on = self._form.goes_on_with_fewer
        if kind == "alone":
            return THIS_MACHINE
        if kind == "processes":
            ranks = self._ranks()
            return Machines(ranks=ranks, go_on_with_fewer=goes_on and ranks > 1)
        if path is None:
            raise UserError(_("No host file is named"), _("type its path, or choose this machine"))
        world = read_hosts(path)
        without = self._form.without if self._form.without < world.size else 0
        left = world.size - bool(without)
        if left == 1:
            raise UserError(
                _("{path} leaves one machine only").format(path=path),
                _("name another, or choose this machine alone"),
            )
        return Machines(ranks=left, hosts=str(path), without=without, go_on_with_fewer=goes_on)

    def _ranks(self) -> int:
        text = self._form.text("ranks")
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise UserError(
                _("'{text}' is no number of processes").format(text=text),
                _("give a number from 1 to {most}").format(most=MOST_RANKS),
            )
        return local_world(int(text), "ring").size

    @on(Button.Pressed, "#machines-close")
    def _leave(self) -> None:
        self.dismiss()

    def _say(self, text: Content) -> None:
        self.query_one("#machines-news", Static).update(text)
