"""A model to chat with that needs no model."""

import threading
from collections.abc import Iterator

from engine.chat import ChatSettings, ReplyChunk
from engine.project import Project


class FakeSession:
    """Answers with its words one by one; remembers what it was asked."""

    words: tuple[str, ...] = ("A ", "moeda ", "é ", "o iene.")
    has_adapter = True
    endless = False

    def __init__(self, _project: Project, _model: str) -> None:
        type(self).made += 1

    made = 0
    asked: list[list[dict[str, str]]] = []  # noqa: RUF012
    settings: list[ChatSettings] = []  # noqa: RUF012

    def reply(
        self,
        messages: list[dict[str, str]],
        settings: ChatSettings,
        with_adapter: bool,
        stop: threading.Event,
    ) -> Iterator[ReplyChunk]:
        """Yield a chunk a word; the base model shouts."""
        self.asked.append(messages)
        self.settings.append(settings)
        count = 0
        for count, word in enumerate(self.words, start=1):
            yield ReplyChunk(word if with_adapter else word.upper(), count, 31.0, False)
        while self.endless and not stop.wait(0.01):
            yield ReplyChunk("…", count, 31.0, False)
        yield ReplyChunk("", count, 31.0, True)
