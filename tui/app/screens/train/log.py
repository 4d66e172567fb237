"""What happened in a run, one line each with its time."""

from bisect import bisect_right
from collections import deque
from dataclasses import replace
from datetime import datetime

from engine.i18n import _, ngettext, number
from engine.sanitize import one_line
from engine.training.events import CheckpointSaved, Evaluated, Event, Finished, Notice, Paused, Started
from engine.training.state import RunState
from tui.app.theme import ATTENTION, MUTED, TEXT
from tui.shell import complete

from rich.text import Text
from textual.events import Resize
from textual.widgets import RichLog

_MOST_LINES = 1000
_LEVEL_SYMBOLS = {"info": "·", "warning": "!"}


class RunLog(RichLog):
    """Checkpoints, validations and notices; what comes from data or files is never markup."""

    DEFAULT_CSS = """
    RunLog {
        height: 3;
        background: $background;
        scrollbar-size-vertical: 1;
    }
    """

    def __init__(self, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, max_lines=_MOST_LINES, wrap=True, markup=False, highlight=False, min_width=20)
        self._state: RunState | None = None
        self._entries: deque[Text] = deque(maxlen=_MOST_LINES)
        self._starts: deque[int] = deque(maxlen=_MOST_LINES)
        """Line at which each entry begins, those counted that were dropped since."""
        self._follows = True
        """Whether the newest line is to be seen: until the user scrolls up, and again from the end on."""
        self._wrapped_to = 0
        self.display = False  # until there is something to read: the chart has the room

    def on_mount(self) -> None:
        """Write everything anew in the colours of another theme."""
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self._wrap())

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Notice whether the user reads what was before."""
        super().watch_scroll_y(old_value, new_value)
        self._follows = new_value >= self.max_scroll_y

    def on_resize(self, event: Resize) -> None:
        """Wrap to the new width; the newest line, or the place that the user reads, stays to be seen."""
        event.prevent_default()
        super().on_resize(event)
        width = self.scrollable_content_region.width
        if width and width != self._wrapped_to:
            self._wrapped_to = width
            self._wrap()
        elif self._follows:
            self._show_end()

    def _wrap(self) -> None:
        follows = self._follows
        read = bisect_right(self._starts, self._start_line + self.scroll_offset.y) - 1
        self.clear()
        self._starts.clear()
        for entry in self._entries:
            self._write(entry)
        if follows:
            self._show_end()
        else:
            top = max(0, self._starts[read] - self._start_line)
            self.scroll_to(y=top, animate=False, immediate=True)
        self._follows = follows

    def _write(self, entry: Text) -> None:
        self._starts.append(self._start_line + len(self.lines))
        self.write(entry, scroll_end=False)
        if self._follows:
            self._show_end()

    def _show_end(self) -> None:
        """Scroll at once: later would undo what the user scrolls in between."""
        self.scroll_end(animate=False, immediate=True)

    def add(self, event: Event) -> None:
        """Write a line about `event` if it is worth one."""
        if entry := describe(event):
            self.write_entry(*entry)

    def follow(self, state: RunState) -> None:
        """Write what changed in a run that another process makes."""
        before, self._state = self._state, state
        if before is None:
            return
        when = datetime.fromisoformat(state.updated).astimezone()
        if state.started != before.started and not state.resumed_at:  # the one before is in the archive
            self._clear()
            self.write_entry("·", _("another process began a new run"), when)
            before = replace(before, last_checkpoint=None, best_step=None)
        if state.last_checkpoint and state.last_checkpoint != before.last_checkpoint:
            self.write_entry("✓", _("{name} saved").format(name=state.last_checkpoint), when)
        if state.best_val_loss is not None and state.best_step != before.best_step:
            self.write_entry("★", _best(state.best_val_loss), when)

    def _clear(self) -> None:
        self._entries.clear()
        self._wrap()

    def write_entry(self, symbol: str, sentence: str, when: datetime | None = None) -> None:
        """Write a line with the time of day, now if no other is told; `!` and `✗` stand for a warning."""
        text = f"{symbol} {complete(one_line(sentence, 400))}"
        entry = Text.assemble(
            (f"{when or datetime.now():%H:%M:%S} ", MUTED), (text, ATTENTION if symbol in "!✗" else TEXT)
        )
        self._entries.append(entry)
        self.display = True
        if self._wrapped_to:
            self._write(entry)


def describe(event: Event) -> tuple[str, str] | None:
    """Return the symbol and sentence of an event; None for those that pass too often."""
    match event:
        case Started():
            return "·", _started(event)
        case Evaluated(is_best=True):
            return "★", _best(event.val_loss)
        case Evaluated():
            return "○", _("validation loss {loss:.2f} at step {step:,}").format(
                loss=event.val_loss, step=event.step
            )
        case CheckpointSaved():
            return "✓", _("{name} saved in {seconds:.1f} s").format(
                name=event.path.name, seconds=event.seconds
            )
        case Notice():
            return _LEVEL_SYMBOLS[event.level], event.message
        case Paused():
            return "‖", _("paused at step {step:,}, saved").format(step=event.step)
        case Finished():
            return "✓", _("finished at step {step:,}").format(step=event.step)
    return None


def _started(event: Started) -> str:
    begin = _("going on at step {step:,}: ").format(step=event.step) if event.step else ""
    valid = ngettext("{n} valid example", "{n} valid examples", event.valid_examples)
    parameters = ngettext("{n} trained parameter", "{n} trained parameters", event.trainable_parameters)
    return begin + _("{train:,} train and {valid}, {parameters}, {device}").format(
        train=event.train_examples,
        valid=valid.format(n=number(event.valid_examples)),
        parameters=parameters.format(n=number(event.trainable_parameters)),
        device=event.device,
    )


def _best(loss: float) -> str:
    return _("best validation loss so far {loss:.2f}, adapters/ updated").format(loss=loss)
