"""Everything that can be done anywhere in the app, by its name; and what can be copied."""

from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from itertools import chain

from engine.i18n import _
from engine.sanitize import printable
from tui.app.keys import APP_KEYS, DISMISS_KEY, PLACES, doing, going_to
from tui.app.screens.shared.base import PlaceScreen
from tui.app.screens.shared.copying import CopyScreen, ToCopy, of_sentence
from tui.app.screens.shared.palette import Command, Palette
from tui.app.screens.shared.unsaved import FormDialog
from tui.app.state import AppState
from tui.run.standing import standing

from textual.binding import Binding, BindingType
from textual.dom import DOMNode
from textual.widget import AwaitMount

_AT_ONCE_S = 0.001
"""A timer of Textual's cannot wait for less."""


def place_class(mode: str) -> type[PlaceScreen]:
    """Return the screen of a place, which is imported only now: plots and figures cost half a second."""
    found: type[PlaceScreen] = getattr(
        import_module(f"tui.app.screens.{mode}.{mode}"), f"{mode.capitalize()}Screen"
    )
    return found


def open_place(mode: str) -> PlaceScreen:
    """Create the screen of a place."""
    return place_class(mode)()


def place_bindings(mode: str) -> Iterator[Binding]:
    """Yield the keys of a place and of its parts, each action once."""
    screen = place_class(mode)
    return _named(chain(screen.BINDINGS, *(part.BINDINGS for part in screen.PARTS)))


def _named(bindings: Iterable[BindingType]) -> Iterator[Binding]:
    """Yield the keys that have a name, of several for one action the first."""
    known = set()
    for binding in Binding.make_bindings(bindings):
        if binding.id and binding.description and binding.action not in known:
            known.add(binding.action)
            if binding.id not in _NOT_LISTED and binding != DISMISS_KEY:
                yield binding


class CommandsApp(AppState):
    """Finds actions by their names, and does them where they belong."""

    _is_built = False
    """Whether the place that is gone to was open before."""

    def switch_mode(self, mode: str) -> AwaitMount:
        """Go to a place; one that was open before is painted at once."""
        self._is_built = mode in self._screen_stacks
        try:
            return super().switch_mode(mode)
        finally:
            self._is_built = False

    def delay_update(self, delay: float = 0.05) -> None:
        """Paint nothing for so many seconds, in which a place is built."""
        super().delay_update(_AT_ONCE_S if self._is_built else delay)

    def action_command_palette(self) -> None:
        """Open the list of places and commands."""

        def run(command: Command | None) -> None:
            if command:
                self.run_in_turn(command.action)

        if not isinstance(self.screen, Palette):
            self.push_screen(Palette(self.commands()), run)

    def commands(self) -> Iterator[Command]:
        """Yield the places, then what can be done in each, then what can be done everywhere."""
        for number, (mode, name) in enumerate(PLACES.items(), start=1):
            yield Command(name, _("Go to {place}").format(place=name), str(number), going_to(mode))
        for mode in (self.current_mode, *(mode for mode in PLACES if mode != self.current_mode)):
            for binding in place_bindings(mode):
                title = _("{place}: {action}").format(place=PLACES[mode], action=binding.description)
                about = binding.tooltip or binding.description
                yield Command(title, about, self.get_key_display(binding), doing(mode, str(binding.id)))
        for binding in _named(APP_KEYS):
            if binding.action not in map(going_to, PLACES):
                about = binding.tooltip or binding.description
                key = self.get_key_display(binding)
                also = _LEAVING if binding.id == "app.quit" else ()
                yield Command(binding.description, about, key, f"app.{binding.action}", also)

    def action_go_to(self, mode: str) -> None:
        """Open a place, after the question of a form that was changed."""
        if isinstance(self.screen, FormDialog):
            self.screen.action_leave(going_to(mode))
        else:
            self.switch_mode(mode)

    async def action_do(self, mode: str, *binding_ids: str) -> None:
        """Do what a key of a place does, having gone there.

        Args:
            mode: of the place.
            binding_ids: of the key; of several the first that does anything now.
        """
        if isinstance(self.screen, FormDialog):
            self.screen.action_leave(doing(mode, *binding_ids))
            return
        await self.switch_mode(mode)
        self.call_after_refresh(self._do_here, binding_ids)

    async def _do_here(self, binding_ids: Sequence[str]) -> None:
        place = self.screen
        if not isinstance(place, PlaceScreen):
            self.show_notice(_("Close this first; Esc does."))
            return
        for binding_id in binding_ids:
            for node, binding in _bound(place):
                if binding.id == binding_id and await self.run_action(binding.action, node):
                    return
        self.show_notice(_("That cannot be done now; ? shows what can be done here."))

    def action_copy_from_place(self) -> None:
        """Ask what of the present place is to be copied."""
        if not isinstance(self.screen, PlaceScreen):
            return
        self.push_screen(CopyScreen(chain(self.screen.to_copy(), self._known_everywhere())), self._copy)

    def _known_everywhere(self) -> Iterator[ToCopy]:
        """Yield where the run stands, the command that goes on with it, and where the project's files are."""
        yield from of_sentence(_("run"), standing(self.project).partition("\n")[0])
        project = self.project
        paths = (project.root, project.train_file, project.valid_file, project.config_file, project.run_dir)
        yield from (ToCopy(_("path"), str(path)) for path in paths if path.exists())

    def _copy(self, text: str | None) -> None:
        if text is not None:
            self.copy_to_clipboard(printable(text))
            self.show_notice(_("Copied, if this terminal lets programs copy (OSC 52)."))


def _bound(place: PlaceScreen) -> Iterator[tuple[DOMNode, Binding]]:
    """Yield the keys of a place and of its widgets, with what they belong to."""
    for node in (place, *place.query("*").results()):
        for bindings in node._bindings.key_to_bindings.values():
            for binding in bindings:
                yield node, binding


_NOT_LISTED = ("app.commands", "app.quit_always", "app.copy_or_pause")
"""The list itself, and keys of the moment."""
_LEAVING = ":q", ":q!", ":qa", ":qa!", ":wq", ":x", "exit", "quit"
"""What editors and shells are left with."""
