"""What can be chosen of machines: this one alone, processes of it, or those of a host file."""

from typing import Any, Literal

from engine.cluster.world import World
from engine.i18n import _
from tui.app.screens.import_table.path_suggester import PathSuggester
from tui.app.screens.shared.choice import Picker
from tui.app.screens.shared.line_input import LineInput
from tui.run.machines import Machines, described, sense_of_ranks, sensible_ranks

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Select, Static

Kind = Literal["alone", "processes", "hosts"]

_NAME_CELLS, _ADDRESS_CELLS = 30, 26


class MachinesForm(Vertical):
    """One line for each choice; those that the chosen kind does not have are not shown."""

    def __init__(self, chosen: Machines, suggester: PathSuggester) -> None:
        """Prepare the form.

        Args:
            chosen: what it begins with.
            suggester: of paths of host files.
        """
        super().__init__()
        self._begin, self._suggester = chosen, suggester
        self._world: World | None = None
        """Of the host file that is typed, if it is one."""

    def compose(self) -> ComposeResult:
        """Yield the fields, each behind its name."""
        begin = self._begin
        kinds: list[tuple[str, Kind]] = [
            (_("this machine alone"), "alone"),
            (_("processes of this machine"), "processes"),
            (_("machines of a host file"), "hosts"),
        ]
        kind: Kind = "hosts" if begin.hosts else "processes" if begin.is_several else "alone"
        yield from _field(_("train on"), _picker("machines-kind", kinds, kind))
        yield Static(id="machines-note", markup=False)
        ranks = begin.ranks if begin.is_several and not begin.hosts else max(2, sensible_ranks())
        yield from _field(_("processes"), LineInput(str(ranks), id="machines-ranks", compact=True))
        hosts = LineInput(
            begin.hosts,
            id="machines-hosts",
            compact=True,
            suggester=self._suggester,
            placeholder=_("path of the file, such as hosts.json"),
        )
        yield from _field(_("host file"), hosts)
        with VerticalScroll(id="machines-scroll", can_focus=False):
            yield Static(id="machines-list")
        yield from _field(_("left out"), _picker("machines-without", _who_is_out(None), 0))
        endings = [
            (_("the run is saved and ends; Enter goes on"), False),
            (_("the others go on from the last checkpoint"), True),
        ]
        yield from _field(_("if one is lost"), _picker("machines-fewer", endings, begin.go_on_with_fewer))

    @property
    def kind(self) -> Kind:
        """Which of the three is chosen."""
        kind: Kind = self._value("kind")
        return kind

    @property
    def without(self) -> int:
        """Number of the process of the host file that is left out; 0: none is."""
        return int(self._value("without"))

    @property
    def goes_on_with_fewer(self) -> bool:
        """Whether the others go on where one is lost."""
        return bool(self._value("fewer"))

    def text(self, name: str) -> str:
        """Return what is typed into a field."""
        return self.query_one(f"#machines-{name}", LineInput).value.strip()

    def _value(self, name: str) -> Any:
        return self.query_one(f"#machines-{name}", Picker).value

    def show_hosts(self, world: World | None) -> None:
        """List the hosts of a file; None where it is none yet."""
        self._world = world
        lines = [_line(*host) for host in described(world)] if world else []
        self.query_one("#machines-list", Static).update(Content("\n").join(lines))
        without = self.query_one("#machines-without", Picker)
        before: int = self.without or self._begin.without
        without.set_options(_prompts(_who_is_out(world)))
        without.value = before if world and before < world.size else 0
        self._show_kind()

    @on(Select.Changed, "#machines-kind")
    def _show_kind(self) -> None:
        """Show what the chosen kind has."""
        kind = self.kind
        has_hosts = kind == "hosts" and self._world is not None
        shown = {
            "#machines-ranks-line": kind == "processes",
            "#machines-hosts-line": kind == "hosts",
            "#machines-scroll": has_hosts,
            "#machines-without-line": has_hosts and self._world is not None and self._world.size > 2,
            "#machines-fewer-line": kind != "alone",
        }
        for selector, is_shown in shown.items():
            self.query_one(selector).display = is_shown
        notes = {
            "alone": _("One process, in this app; in the background if the terminal is lost."),
            "processes": sense_of_ranks(),
            "hosts": _("Started through ssh; the first host is this machine, which owns the run."),
        }
        self.query_one("#machines-note", Static).update(notes[kind])


def _who_is_out(world: World | None) -> list[tuple[str, int]]:
    hosts = described(world) if world else []
    return [(_("none"), 0), *((name, rank) for rank, (name, _ips, _speed) in enumerate(hosts) if rank)]


def _line(name: str, addresses: str, speed: float | None) -> Content:
    measured = _("not measured") if speed is None else _("speed {speed:g}").format(speed=speed)
    return Content.assemble(
        Content(name).pad_right(max(0, _NAME_CELLS - Content(name).cell_length)),
        " ",
        (addresses.ljust(_ADDRESS_CELLS), "$muted"),
        " ",
        (measured, "$muted"),
    )


def _field(name: str, editor: Widget) -> ComposeResult:
    with Horizontal(classes="machines-line", id=f"{editor.id}-line"):
        yield Static(name, classes="field-name")
        yield editor


def _picker(id_: str, options: list[tuple[str, Any]], value: Any) -> Picker:
    return Picker(_prompts(options), value=value, allow_blank=False, compact=True, id=id_)


def _prompts(options: list[tuple[str, Any]]) -> list[tuple[Content, Any]]:
    return [(Content(label), value) for label, value in options]
