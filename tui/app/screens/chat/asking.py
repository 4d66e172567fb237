"""How the chat asks: one question at a time goes to the engine, and its answers come in pieces."""

import threading
from typing import ClassVar

from engine.chat import ChatSettings, ReplyEnd, reading_words
from engine.dataset.jsonl.turns import Message as Turn
from engine.files import stamp_of
from engine.i18n import _
from engine.project import Project
from engine.training.selected_config import adapter_model
from tui.app.jobs.adapters import WEIGHTS, ChatAdapter
from tui.app.jobs.chat import ChatJob, CreateSession, busy_training, create_session
from tui.app.messages import AdapterDoubt, PromptRead, Question, ReplyDone, ReplyPiece
from tui.app.screens.chat.adapters import adapter_name
from tui.app.screens.chat.log import ChatLog
from tui.app.screens.chat.prompt import Prompt
from tui.app.screens.chat.state_line import ChatState
from tui.app.screens.chat.turn import ChatTurn, end_words
from tui.app.screens.shared.base import PlaceScreen

from textual import on


class AskingScreen(PlaceScreen):
    """A place that asks the tuned model, on request also the base model."""

    create_session: ClassVar[CreateSession] = staticmethod(create_session)

    def __init__(self) -> None:
        super().__init__()
        self.settings = ChatSettings(seed=0)
        self.base_beside = False
        self.adapter = ChatAdapter(None)
        """What the model is asked with."""
        self._asked_with: tuple[ChatAdapter, object] | None = None
        """That, and what its file was, when a question was asked last."""
        self.turns: list[Turn] = []
        """What is sent along with the next question."""
        self.last_asked: list[Turn] = []
        """The last question, with what was sent along."""
        self._waiting: list[str] = []
        """Lines of prompts.txt still to be asked."""
        self._asked: Question | None = None
        """What is being answered; events of any other question come late, after that was stopped."""
        self._stop = threading.Event()
        self._is_elsewhere = False
        """Whether another place was gone to since this one was shown."""

    def on_mount(self) -> None:
        """Get ready; the model is loaded with the first question."""
        self._model = ChatJob(self.project, self.post_message, type(self).create_session)
        self.watch(self.app, "run_state", self._follow_run)
        self.query_one(Prompt).focus()

    def on_screen_resume(self) -> None:
        """Say what there is to talk to; who comes from another place finds the cursor in the line."""
        self.show_state()
        if self._is_elsewhere:
            self._is_elsewhere = False
            self.query_one(Prompt).focus()

    def on_screen_suspend(self) -> None:
        """Notice whether another place is shown, or only a dialog."""
        self._is_elsewhere = self not in self.app.screen_stack

    def on_unmount(self) -> None:
        """End a reply, so that the app can end."""
        self._stop.set()

    @property
    def project(self) -> Project:
        """The project as the run sees it whose adapter answers."""
        return self.mqlora.project

    @property
    def is_replying(self) -> bool:
        """Whether a question is being answered."""
        return self._asked is not None

    @property
    def log_of_turns(self) -> ChatLog:
        """The conversation as it is shown."""
        return self.query_one(ChatLog)

    @property
    def model_name(self) -> str:
        """Base model of the run's adapter, else the selected one; empty for the first."""
        return adapter_model(self.project) or self.mqlora.config.model

    def stop_work(self) -> bool:
        """Stop the reply; the screen does not wait for the engine, which may be loading the model."""
        self._waiting.clear()
        self._stop.set()
        if not self.is_replying:
            return False
        if not self.log_of_turns.last.is_over:
            self._end_turn(self.log_of_turns.last, "stopped")
        self._end_reply()
        return True

    def ask_each(self, questions: list[str]) -> None:
        """Ask one question after the other, each on its own."""
        self._waiting = questions
        self._ask_next_prompt()

    def _ask_next_prompt(self) -> None:
        if self._waiting:
            self.turns.clear()
            if not self.ask(self._waiting.pop(0)):
                self._waiting.clear()

    def is_busy(self) -> bool:
        """Whether a question is being answered or a run trains, which the user is told."""
        if self.is_replying:
            self.mqlora.show_notice(_("The model is still answering; Esc stops it."))
        elif self.mqlora.training.is_running:
            self._show_wait()
        return self.is_replying or self.mqlora.training.is_running

    def ask(self, text: str, remark: str = "") -> bool:
        """Send a question to the engine; False if that is not possible now.

        Args:
            text: of the question.
            remark: to show with it.
        """
        if self.is_busy():
            return False
        self.clear_error()
        self.turns.append({"role": "user", "content": text})
        self.log_of_turns.add(text, self.base_beside, ", ".join(filter(None, (remark, self._with_what()))))
        self.last_asked = list(self.turns)
        self._asked = question = Question(list(self.turns), self.base_beside)
        self._stop = stop = threading.Event()
        engine = self.mqlora.engine
        self.mqlora.hold_model(self._model)
        engine.submit_leavable(
            self._model.answer,
            question,
            self.model_name,
            self.adapter.folder,
            self.settings,
            lambda: stop.is_set() or engine.stop_event.is_set(),
        )
        self.show_state()
        return True

    def _with_what(self) -> str:
        """Name a checkpoint that was chosen, and say where others answered what stands above."""
        chosen = self.adapter.folder
        file = chosen / WEIGHTS if chosen else self.project.found_adapter
        before, self._asked_with = self._asked_with, (self.adapter, stamp_of(file) if file else None)
        words = adapter_name(self.adapter) if chosen else ""
        if before and before != self._asked_with and self.log_of_turns.query(ChatTurn):
            return _("from here on another adapter answers: {name}").format(
                name=words or adapter_name(self.adapter)
            )
        return words

    async def _turn(self, event: PromptRead | ReplyPiece) -> ChatTurn:
        return await self.log_of_turns.turn_of("tuned" if event.tuned else "base")

    @on(PromptRead)
    async def _show_reading(self, read: PromptRead) -> None:
        if read.question is self._asked and self.is_attached:
            turn = await self._turn(read)
            turn.say(reading_words(read.question.turns, read.share))

    @on(ReplyPiece)
    async def _write(self, piece: ReplyPiece) -> None:
        if piece.question is self._asked and self.is_attached:  # else the app ends
            turn = await self._turn(piece)
            turn.write(piece.text, piece.tokens, piece.tokens_per_second)
            if piece.end:
                self._end_turn(turn, piece.end, piece.tokens)

    def _end_turn(self, turn: ChatTurn, end: ReplyEnd, tokens: int = 0) -> None:
        """Say why a reply ended; what there is of it goes on in the conversation."""
        has_text = turn.speaker != "user" and bool(turn.text.strip())
        turn.end(end_words(end, tokens, has_text))
        if has_text and (turn.speaker == "tuned" or self.turns[-1]["role"] == "user"):
            self.turns.append({"role": "assistant", "content": turn.text})

    @on(AdapterDoubt)
    def _warn(self, doubt: AdapterDoubt) -> None:
        self.mqlora.show_notice(doubt.text)

    @on(ReplyDone)
    def _finish(self, done: ReplyDone) -> None:
        if done.question is not self._asked or not self.is_attached:
            return
        if done.error:
            self.show_error(done.error)
            self.log_of_turns.last.end(_("not answered"))
            self.query_one(Prompt).offer(done.question.turns[-1]["content"])  # to be asked again
            self._waiting.clear()
        self._end_reply()
        self._ask_next_prompt()

    def _end_reply(self) -> None:
        self._asked = None
        if self.turns and self.turns[-1]["role"] == "user":
            self.turns.pop()  # an unanswered question would break the alternation of turns
        self.show_state()

    def _follow_run(self) -> None:
        """Leave the memory to training; the next question loads the newest adapter."""
        if self.mqlora.training.is_running:
            self.stop_work()
            self._model.forget()
        if self.is_waiting:
            self._show_wait()

    def _show_wait(self) -> None:
        """Say what keeps the model from answering, if a run does."""
        if busy := busy_training(self.mqlora.training):
            self.show_error(busy)

    def show_state(self) -> None:
        """Say who answers, and how."""
        how = (self.adapter, self.settings, self.base_beside, self.is_replying)
        self.query_one(ChatState).show_state(self.project, self.model_name, *how)
        self.refresh_bindings()
