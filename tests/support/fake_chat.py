"""A model that answers at once, or not before it is let, and ways to talk to it."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from engine.chat import ChatSettings, ReplyChunk, ReplyEnd
from engine.project import Project
from tests.support.fake_engine import ready, wait_for
from tui.app.screens.chat.chat import ChatScreen
from tui.app.screens.chat.prompt import Prompt
from tui.app.screens.chat.turn import ChatTurn

from textual.pilot import Pilot


class FakeSession:
    """Answers with its words one by one; remembers what it was asked."""

    words: tuple[str, ...] = ("A ", "moeda ", "é ", "o iene.")
    has_adapter = True
    warning = ""
    endless = False
    """Whether it writes on until it is stopped."""
    end: ReplyEnd = "complete"
    reads: int | None = None
    """Percent of the prompt at which it stands until it is stopped."""
    loading: threading.Event | None = None
    """What loading waits for."""

    def __init__(self, _project: Project, _model: str, adapter: Path | None) -> None:
        type(self).made += 1
        self.adapters.append(adapter)
        if self.loading:
            self.loading.wait()

    made = 0
    asked: list[list[dict[str, str]]] = []  # noqa: RUF012
    settings: list[ChatSettings] = []  # noqa: RUF012
    adapters: list[Path | None] = []  # noqa: RUF012

    def reply(
        self,
        messages: list[dict[str, str]],
        settings: ChatSettings,
        with_adapter: bool,
        stop: Callable[[], bool],
        on_progress: Callable[[int, int], None],
    ) -> Iterator[ReplyChunk]:
        """Yield a chunk a word; the base model shouts."""
        self.asked.append(messages)
        self.settings.append(settings)
        if self.reads is not None:
            on_progress(self.reads, 100)
            wait_until(stop)
        count = 0
        for word in self.words if not stop() else ():
            count += 1
            yield ReplyChunk(word if with_adapter else word.upper(), count, 31.0)
        if self.endless:
            wait_until(stop)
        yield ReplyChunk("", count, 31.0, "stopped" if stop() else self.end)


def wait_until(stop: Callable[[], bool]) -> None:
    """Wait on the engine's thread, as a model does that computes."""
    while not stop():
        threading.Event().wait(0.005)


async def open_chat(pilot: Pilot[int]) -> ChatScreen:
    """Go to the chat."""
    app = await ready(pilot)
    await pilot.press("5")
    await wait_for(
        pilot, lambda: isinstance(app.screen, ChatScreen) and isinstance(app.screen.focused, Prompt)
    )
    assert isinstance(app.screen, ChatScreen)
    return app.screen


async def send(pilot: Pilot[int], screen: ChatScreen, text: str) -> None:
    """Send a question."""
    screen.query_one(Prompt).text = text
    await pilot.press("enter")
    await wait_for(pilot, lambda: screen.query(ChatTurn))


async def ask(pilot: Pilot[int], screen: ChatScreen, text: str) -> None:
    """Send a question and wait until it is answered."""
    await send(pilot, screen, text)
    await wait_for(pilot, lambda: not screen.is_replying)
    await pilot.pause()
