"""The server of the trained model, started and ended by the app; its thread only posts messages."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from engine.errors import UserError, system_reason
from engine.i18n import _
from engine.project import Project
from engine.serve.port import USUAL, next_free
from engine.serve.server import Event, Order, ServerProcess, order

from textual.message import Message


@dataclass
class ServerTold(Message, bubble=False):
    """The server is at something, is ready, or has answered a request."""

    event: Event


@dataclass
class ServerEnded(Message, bubble=False):
    """There is no server any more: as was asked for, or because of an error."""

    error: UserError | None = None


class Serving(Protocol):
    """The part of `engine.serve.server.ServerProcess` that the app needs."""

    def events(self) -> Iterator[Event]:
        """Yield what the server says until it ends."""
        ...

    def stop(self) -> None:
        """Let it end."""
        ...


def start_process(asked: Order) -> AbstractContextManager[Serving]:
    """Start the server's process."""
    return ServerProcess(asked)


class ServeJob:
    """Owns the server's process; once started it goes on until it is stopped or this process ends."""

    def __init__(self, project: Project, post: Callable[[Message], object]) -> None:
        """Start it on a thread that nobody waits for: the process ends with this one.

        Args:
            project: whose adapter is served.
            post: gets `ServerTold` and at the end a `ServerEnded`.
        """
        self._project, self._post = project, post
        self._stopped = threading.Event()
        self._server: Serving | None = None
        threading.Thread(target=self._run, daemon=True, name="server").start()

    def stop(self) -> None:
        """Let it end, also where it is only being started."""
        self._stopped.set()
        if self._server:
            self._server.stop()

    def _run(self) -> None:
        error: UserError | None = None
        try:
            with start_process(order(self._project, next_free(USUAL))) as server:
                self._server = server
                if self._stopped.is_set():
                    server.stop()
                for event in server.events():
                    self._post(ServerTold(event))
        except UserError as refusal:
            error = refusal
        except OSError as failure:
            problem = _("Cannot start the server: {reason}").format(reason=system_reason(failure))
            error = UserError(problem, _("close other programs and try again"))
        self._post(ServerEnded(None if self._stopped.is_set() else error))
