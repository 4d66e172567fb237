"""`serve`: the trained model for other programs of this machine."""

from dataclasses import asdict
from pathlib import Path

from engine.i18n import _
from engine.project import Project
from engine.serve.server import Answered, Event, Ready, ServerProcess, Stage, order
from tui.console import err, print_json, quote, say
from tui.terminal.signals import pausing_signals


def serve(project: Project, port: int, adapter: Path | None, with_adapter: bool, as_json: bool) -> int:
    """Serve until a signal comes, and return 128 + that.

    Args:
        project: whose model it is.
        port: where to listen.
        adapter: folder of the adapter; None takes the run's best one.
        with_adapter: False serves the base model.
        as_json: print an object a line.

    Raises:
        UserError: it cannot begin or go on.
    """
    asked = order(project, port, adapter, with_adapter)
    tell = _print_event if as_json else _say_event
    with (
        ServerProcess(asked) as server,
        pausing_signals(lambda _received: server.stop()) as (_stop, received),
    ):
        for event in server.events():
            tell(event)
    if not as_json:
        say(_("The server has ended; its port is free."), err)
    return 128 + received[0]


def _say_event(event: Event) -> None:
    match event:
        case Stage(text=text):
            say(f"  {text}")
        case Ready():
            say(f"✓ {event.model}: {event.url}")
            say(f"  {event.proof}.")
            quote(f"     {event.curl}")
            say(_("  Ctrl+C ends it."))
        case Answered():
            quote(f"  {event.method} {event.path} {event.status}")


def _print_event(event: Event) -> None:
    match event:
        case Stage():
            print_json({"event": "stage", "stage": event.name})
        case Ready():
            print_json({"event": "ready", **asdict(event), "url": event.url, "curl": event.curl})
        case Answered():
            print_json({"event": "request", **asdict(event)})
