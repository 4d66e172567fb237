"""mlx-lm's answers to HTTP requests, for requests that were looked at before."""

import json
from collections.abc import Callable
from functools import partial
from http.server import ThreadingHTTPServer
from io import BytesIO
from socket import socket
from typing import IO, Any
from urllib.parse import urlsplit

from engine.i18n import _
from engine.sanitize import one_line
from engine.serve.port import ADDRESS
from engine.serve.proof import KEY_HEADER
from engine.serve.requests import FORMS, MOST_BYTES, RefusedRequest, vetted
from engine.serve.served_model import Generator, ServedModel

from mlx_lm.server import APIHandler

_SILENCE_S = 120.0
"""Seconds without a byte after which a connection is given up."""
_LONGEST_PATH = 200

Told = Callable[[str, str, int], None]
"""Told of each answered request: method, path and status."""


class Server(ThreadingHTTPServer):
    """Takes connections from a socket that listens already, and answers each on a thread of its own."""

    daemon_threads = True
    block_on_close = False

    def __init__(
        self, listening: socket, served: ServedModel, generator: Generator, name: str, key: str, told: Told
    ) -> None:
        """Prepare it; `serve_forever` answers.

        Args:
            listening: on `ADDRESS`.
            served: what is served.
            generator: that answers with it.
            name: of the model in answers.
            key: see `key`.
            told: called on many threads.
        """
        handler = partial(Handler, generator, system_fingerprint="mlx-lm")
        super().__init__((ADDRESS, 0), handler, bind_and_activate=False)
        self.socket.close()
        self.socket, self.server_address = listening, listening.getsockname()
        self.name, self.vocabulary, self.told = name, served.vocabulary, told
        self.key = key
        """Until the proof is there, only requests with this are answered; empty: all are."""

    def handle_error(self, _request: Any, _client: Any) -> None:
        """Leave out a client that is gone: its connection is all that broke."""


class Handler(APIHandler):  # type: ignore[misc]
    """Answers one request."""

    timeout = _SILENCE_S
    server: Server
    rfile: IO[bytes]

    def do_POST(self) -> None:
        """Answer a prompt or a conversation."""
        if self._is_refused(self._vet):
            return
        super().do_POST()

    def do_GET(self) -> None:
        """Say what is served, and whether it still is."""
        if not self._is_refused(self._require_local):
            super().do_GET()

    def do_OPTIONS(self) -> None:
        """Tell a page from elsewhere that it may not ask."""
        if not self._is_refused(self._require_local):
            super().do_OPTIONS()

    def handle_models_request(self) -> None:
        """Name the one model; mlx-lm would list the user's other ones."""
        one = {"id": self.server.name, "object": "model", "created": self.created}
        self._answer(200, {"object": "list", "data": [one]})

    def _set_completion_headers(self, status_code: int = 200) -> None:
        """Begin an answer of mlx-lm's, which says "not found" of whatever it cannot answer."""
        is_asked = status_code == 404 and self.path in FORMS
        super()._set_completion_headers(400 if is_asked else status_code)

    def log_message(self, *_parts: Any) -> None:
        """Write nothing to the terminal: a client chose the words."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Tell of an answered request."""
        if not self.server.key and str(code).isdigit():
            path = one_line(getattr(self, "path", "-"), _LONGEST_PATH)
            self.server.told(one_line(self.command or "-", 20), path, int(code))

    def _vet(self) -> None:
        """Put what may be asked in the place of the request's body.

        Raises:
            RefusedRequest: it is not answered.
        """
        self._require_local()
        if self.path not in FORMS:
            raise RefusedRequest(404, _("there is no such address here"))
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit() and len(length) < 12):
            raise RefusedRequest(411, _("the request has no Content-Length"))
        if int(length) > MOST_BYTES:
            raise RefusedRequest(413, _("the request is too large"))
        body = self.rfile.read(int(length))
        body = vetted(self.path, body, self.server.name, self.server.vocabulary)
        self.rfile = BytesIO(body)
        self.headers.replace_header("Content-Length", str(len(body)))

    def _require_local(self) -> None:
        """Refuse what a web page from elsewhere sends through a browser on this machine.

        Raises:
            RefusedRequest: it names another host or comes from another page, or the proof is not there.
        """
        port = self.server.server_address[1]
        own = {f"{host}:{port}" for host in (ADDRESS, "localhost")}
        if self.headers.get("Host", "").lower() not in own:
            raise RefusedRequest(403, _("this is no request to {host}").format(host=f"{ADDRESS}:{port}"))
        if (origin := self.headers.get("Origin")) and _host(origin) not in own:
            raise RefusedRequest(403, _("pages from elsewhere may not ask"))
        if self.server.key and self.headers.get(KEY_HEADER) != self.server.key:
            raise RefusedRequest(503, _("the model is being checked; ask again in a moment"))

    def _is_refused(self, require: Callable[[], None]) -> bool:
        try:
            require()
        except RefusedRequest as refusal:
            self._answer(refusal.status, {"error": {"message": str(refusal), "code": refusal.status}})
            return True
        return False

    def _answer(self, status: int, value: dict[str, Any]) -> None:
        body = json.dumps(value).encode()
        super()._set_completion_headers(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _host(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
