"""The server's process, as seen from the program that starts it; imports no MLX.

The model is computed with in a child, so that the app stays usable, and what ends MLX ends nothing else.
The child's standard input is its life: closed by `stop`, or by the system when this process ends.
"""

import json
import shlex
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from engine import child_process
from engine.errors import UserError
from engine.i18n import _
from engine.model_folder.usable import require_usable
from engine.project import Project
from engine.sanitize import one_line
from engine.serve.port import ADDRESS, listen
from engine.training.crash import cause_of_death
from engine.training.selected_config import adapter_model, selected_settings

CHILD = ("-m", "engine.serve.child")
ADAPTER_MARK = "+adapter"
"""Ends the name of a model that is served with an adapter: who asks for that never gets the base model."""
_END_S = 5.0
"""Seconds that the child has to end by itself."""
_LOG_TAIL = 20_000
_QUESTION = "Qual é a capital de Portugal?"


@dataclass(frozen=True)
class Order:
    """What is to be served, and where."""

    root: Path
    model: str
    """Name of the base model."""
    adapter: Path | None
    """Folder of the adapter; None serves the base model."""
    port: int

    @property
    def name(self) -> str:
        """What clients call it."""
        return self.model + (ADAPTER_MARK if self.adapter else "")

    def as_json(self) -> str:
        """Return what the child is told."""
        adapter = str(self.adapter.absolute()) if self.adapter else ""
        asked = {"root": str(self.root.absolute()), "model": self.model, "adapter": adapter}
        return json.dumps(asked | {"name": self.name, "port": self.port})


@dataclass(frozen=True)
class Stage:
    """What the server is at before it is ready, in words."""

    name: str
    text: str


@dataclass(frozen=True)
class Ready:
    """The server answers, and the model is proven to be the one that was meant."""

    model: str
    """What clients call it."""
    port: int
    difference: float
    """Largest difference to log-probabilities computed without the server."""
    shift: float | None
    """Largest difference that the adapter makes to them; None where the base model is served."""
    shows_adapter: bool
    """Whether `shift` is so large that the base model could not be taken for the tuned one."""
    tokens: int
    """That were compared."""

    @property
    def url(self) -> str:
        """What programs call the base URL."""
        return f"http://{ADDRESS}:{self.port}/v1"

    @property
    def curl(self) -> str:
        """A command that asks something."""
        asked = {"messages": [{"role": "user", "content": _QUESTION}]}
        body = shlex.quote(json.dumps(asked, ensure_ascii=False))
        return f"curl {self.url}/chat/completions -H 'Content-Type: application/json' -d {body}"

    @property
    def proof(self) -> str:
        """What was compared, in a sentence without its full stop."""
        same = _("its log-probabilities are those computed here to {n:.4f}").format(n=self.difference)
        if self.shift is None:
            return same
        if self.shows_adapter:
            return _("{same}; the base model's differ by {shift:.2f}").format(same=same, shift=self.shift)
        return _("{same}; the adapter changes next to nothing ({shift:.4f})").format(
            same=same, shift=self.shift
        )


@dataclass(frozen=True)
class Answered:
    """A request was answered."""

    method: str
    path: str
    status: int


Event = Stage | Ready | Answered


def order(project: Project, port: int, adapter: Path | None = None, with_adapter: bool = True) -> Order:
    """Look at what is to be served, as far as that is quickly done.

    Args:
        project: whose model it is.
        port: where to listen.
        adapter: folder of the adapter; None takes the run's best one.
        with_adapter: False serves the base model.

    Raises:
        UserError: the port is in use, there is no adapter, or the model cannot be used.
    """
    chosen = (adapter or project.adapters_dir) if with_adapter else None
    if chosen and not (chosen / project.adapter_file.name).is_file():
        raise _without_adapter(adapter)
    name = project.model_name(adapter_model(project) or selected_settings(project).model)
    require_usable(project.model_dir(name))
    listen(port).close()
    return Order(project.root, name, chosen, port)


def _without_adapter(adapter: Path | None) -> UserError:
    if adapter:
        return UserError(
            _("There is no adapter in {folder}").format(folder=adapter),
            _("name the folder with its adapters.safetensors, or serve without: mqlora-tui serve --base"),
        )
    return UserError(
        _("There is no adapter yet that could be served"),
        _("train one with mqlora-tui train, or serve the base model with: mqlora-tui serve --base"),
    )


class ServerProcess:
    """The child; used in a `with` block, at the end of which it has ended and its port is free."""

    def __init__(self, asked: Order) -> None:
        """Start it.

        Raises:
            OSError: the system has no process to give.
        """
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the process
        self._child = child_process.start([*CHILD, asked.as_json()], self._errors)
        self._stopping = threading.Event()

    def __enter__(self) -> "ServerProcess":
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()
        try:
            self._child.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        for stream in (self._child.stdout, self._errors):
            if stream:
                stream.close()

    def stop(self) -> None:
        """Let it end, on any thread."""
        self._stopping.set()
        if self._child.stdin:
            with suppress(OSError):
                self._child.stdin.close()

    def events(self) -> Iterator[Event]:
        """Yield what the server says until it ends.

        Raises:
            UserError: it could not begin or go on.
        """
        assert self._child.stdout is not None
        for message in child_process.messages(self._child.stdout):
            if refused := message.get("refused"):
                raise UserError(*refused)
            if event := _event(message):
                yield event
        if not self._stopping.is_set():
            raise self._died()

    def _died(self) -> UserError:
        code = self._child.wait()
        self._errors.seek(max(0, self._errors.seek(0, 2) - _LOG_TAIL))
        errors = self._errors.read().decode("utf-8", errors="replace")
        if code < 0:
            return UserError(
                cause_of_death(-code, errors)[0], _("start it again when other programs leave it more memory")
            )
        reason = one_line(errors.strip().rpartition("\n")[2], 200) or str(code)
        return UserError(
            _("The server ended without a word: {reason}").format(reason=reason),
            _("see if the machine is fine with: mqlora-tui check"),
        )


def _event(message: dict[str, Any]) -> Event | None:
    if phase := message.get("phase"):
        return Stage(phase, _STAGES[phase])
    if ready := message.get("ready"):
        proof = ready["proof"]
        values = (proof[name] for name in ("difference", "shift", "shows_adapter", "tokens"))
        return Ready(ready["model"], ready["port"], *values)
    if request := message.get("request"):
        return Answered(request["method"], request["path"], request["status"])
    return None


_STAGES = {
    "loading": _("Loading the model …"),
    "proving": _("Comparing what it answers with what is computed here …"),
}
