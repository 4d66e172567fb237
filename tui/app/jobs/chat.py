"""Replies drawn on the engine's thread and sent to the chat screen in small batches."""

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from engine.chat import ChatSettings, ReplyChunk, read_questions
from engine.chat_prompt import ContextFull
from engine.dataset.jsonl.turns import Message as Turn
from engine.errors import UserError
from engine.i18n import _
from engine.project import Project
from tui.app.jobs.adapters import WEIGHTS, base_for, require_whole
from tui.app.messages import AdapterDoubt, PromptRead, Question, ReplyDone, ReplyPiece
from tui.app.screens.shared.note_line import Busy
from tui.console import logged_defect
from tui.run.controller import TrainingController

from textual.message import Message

BATCH_SECONDS = 0.1
"""Tokens that come faster than this reach the screen together."""


Stop = Callable[[], bool]
"""Whether the reply is to end."""
OnPromptRead = Callable[[int, int], None]
"""Told how many of the prompt's tokens are read, and how many there are."""


class Session(Protocol):
    """The part of `engine.chat.ChatSession` that chatting needs."""

    @property
    def has_adapter(self) -> bool:
        """Whether there is an adapter to chat with."""
        ...

    @property
    def warning(self) -> str:
        """Why the adapter may answer badly, in a sentence."""
        ...

    def reply(
        self,
        messages: list[Turn],
        settings: ChatSettings,
        with_adapter: bool,
        stop: Stop,
        on_progress: OnPromptRead,
    ) -> Iterator[ReplyChunk]:
        """Yield the next turn piece by piece."""
        ...


CreateSession = Callable[[Project, str, Path | None], Session]
"""Loads a base model of a project and the adapter in a folder; None for what is in `adapters/`."""


class ChatJob:
    """Owns the loaded model; its methods run on the engine's thread and only post messages."""

    def __init__(self, project: Project, post: Callable[[Message], object], create: CreateSession) -> None:
        self._project = project
        self._post = post
        self._create = create
        self._session: Session | None = None
        self._loaded: tuple[object, ...] = ()
        """Model, adapter and the adapter's modification time in `_session`."""

    def forget(self) -> None:
        """Drop the model, so that training has its memory and a newer adapter is loaded next time."""
        self._session = None

    def answer(
        self, question: Question, model: str, adapter: Path | None, settings: ChatSettings, stop: Stop
    ) -> None:
        """Answer with the adapter if there is one, then also without it if that is wanted."""
        error: UserError | None = None
        try:
            self._answer(question, self._open(model, adapter), settings, stop)
        except ContextFull as full:
            fix = _("begin a new conversation with Ctrl+N") if full.is_grown else full.fix
            error = UserError(full.problem, fix)
        except UserError as refusal:
            error = refusal
        except Exception as defect:
            error = logged_defect(defect)
        self._post(ReplyDone(question, error))

    def _open(self, model: str, adapter: Path | None) -> Session:
        """Load the model, unless it is loaded with this very adapter."""
        if adapter:
            model = base_for(self._project, adapter, model)
        weights = adapter / WEIGHTS if adapter else self._project.found_adapter
        wanted = (model, weights, weights.stat().st_mtime_ns if weights and weights.exists() else 0)
        if self._session is None or wanted != self._loaded:
            self._session = None  # free the memory of the one before first
            self._session, self._loaded = self._create(self._project, model, adapter), wanted
            if self._session.warning:
                self._post(AdapterDoubt(self._session.warning))
        return self._session

    def _answer(self, question: Question, session: Session, settings: ChatSettings, stop: Stop) -> None:
        if session.has_adapter:
            self._stream(session, question, settings, True, stop)
        if not session.has_adapter or (question.with_base and not stop()):
            self._stream(session, question, settings, False, stop)

    def _stream(
        self, session: Session, question: Question, settings: ChatSettings, tuned: bool, stop: Stop
    ) -> None:
        def on_progress(read: int, total: int) -> None:
            self._post(PromptRead(question, tuned, read / total))

        text, sent_at = "", -math.inf
        for chunk in session.reply(question.turns, settings, tuned, stop, on_progress):
            text += chunk.text
            if chunk.end or time.monotonic() - sent_at >= BATCH_SECONDS:
                speed = chunk.tokens_per_second
                self._post(ReplyPiece(question, tuned, text, chunk.tokens, speed, chunk.end))
                text, sent_at = "", time.monotonic()


def busy_training(training: TrainingController) -> Busy | None:
    """Return why the model cannot answer now, if a run of this process has it."""
    if not training.is_running:
        return None
    if training.status().phase == "pausing":
        problem, fix = _("Training is being paused, so the model is busy"), _("ask again in a moment")
    else:
        problem, fix = _("Training is running, so the model is busy"), _("pause it with Ctrl+C to chat")
    return Busy(problem, fix, lambda: training.is_running)


def questions_of(project: Project) -> list[str]:
    """Return the lines of prompts.txt that are not blank; none if it cannot be read."""
    try:
        return read_questions(project)
    except OSError:
        return []


def create_session(project: Project, model: str, adapter: Path | None) -> Session:
    """Load the model; imports MLX, so only on the engine's thread.

    Raises:
        UserError: a checkpoint is damaged, or model or adapter cannot be loaded.
    """
    from engine.chat import ChatSession

    if adapter:
        require_whole(adapter)
    return ChatSession(project, model, adapter)
