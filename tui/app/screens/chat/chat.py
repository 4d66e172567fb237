"""5 Chat: the answer, and what the training changed."""

import threading
from typing import ClassVar

from engine.chat import ChatSettings, ReplyEnd, reading_words
from engine.dataset.jsonl.turns import Message as Turn
from engine.errors import UserError
from engine.i18n import _
from engine.project import Project
from engine.training.selected_config import adapter_model
from tui.app.jobs.chat import ChatJob, CreateSession, busy_training, create_session, questions_of
from tui.app.messages import AdapterDoubt, PromptRead, Question, ReplyDone, ReplyPiece
from tui.app.screens.chat.keys import CHAT_KEYS
from tui.app.screens.chat.log import ChatLog
from tui.app.screens.chat.prompt import Prompt
from tui.app.screens.chat.settings import ChatSettingsScreen
from tui.app.screens.chat.state_line import ChatState
from tui.app.screens.chat.turn import ChatTurn, end_words
from tui.app.screens.shared.base import PlaceScreen
from tui.app.screens.shared.unsaved import FormResult

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType


class ChatScreen(PlaceScreen):
    """A conversation with the tuned model, on request with the base model beside it."""

    PLACE: ClassVar[str] = _("5 Chat")
    create_session: ClassVar[CreateSession] = staticmethod(create_session)
    AUTO_FOCUS = ""  # who has left the input line finds it left below a closed dialog
    BINDINGS: ClassVar[list[BindingType]] = CHAT_KEYS

    def __init__(self) -> None:
        super().__init__()
        self.settings = ChatSettings()
        self.base_beside = False
        self._turns: list[Turn] = []
        self._waiting: list[str] = []
        """Lines of prompts.txt still to be asked."""
        self._asked: Question | None = None
        """What is being answered; events of any other question come late, after that was stopped."""
        self._stop = threading.Event()

    def compose_body(self) -> ComposeResult:
        """Yield state, conversation and input line."""
        yield ChatState(id="chat-state")
        yield ChatLog()
        yield Prompt(_("Ask something"))

    def on_mount(self) -> None:
        """Get ready; the model is loaded with the first question."""
        self._model = ChatJob(self.project, self.post_message, type(self).create_session)
        self.watch(self.app, "run_state", self._follow_run)
        self.query_one(Prompt).focus()

    def on_screen_resume(self) -> None:
        """Say what there is to talk to."""
        self._show_state()

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
    def _log(self) -> ChatLog:
        return self.query_one(ChatLog)

    @property
    def _model_name(self) -> str:
        return adapter_model(self.project) or self.mqlora.config.model

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer what makes sense for the input line and the reply."""
        if action == "stop":
            return self.is_replying
        if action in ("write", "leave"):
            return isinstance(self.focused, Prompt) == (action == "leave")
        return super().check_action(action, parameters)

    @on(Prompt.Sent)
    def _send(self, event: Prompt.Sent) -> None:
        text = event.prompt.text.strip()
        if not text:
            self.mqlora.show_notice(_("There is no question in the line; write one."))
        elif self._ask(text):
            event.prompt.clear()

    def action_write(self) -> None:
        """Go to the input line."""
        self.query_one(Prompt).focus()

    def action_stop(self) -> None:
        """Stop the reply and the prompts still to come."""
        self.stop_work()

    def stop_work(self) -> bool:
        """Stop the reply; the screen does not wait for the engine, which may be loading the model."""
        self._waiting.clear()
        self._stop.set()
        if not self.is_replying:
            return False
        if not self._log.last.is_over:
            self._end_turn(self._log.last, "stopped")
        self._end_reply()
        return True

    def action_leave(self) -> None:
        """Take the cursor off the input line."""
        self.set_focus(None)

    def action_base(self) -> None:
        """Turn the base model's answer on or off."""
        self.base_beside = not self.base_beside
        self._show_state()

    def action_new(self) -> None:
        """Begin a new conversation."""
        self.stop_work()
        self.clear_error()  # such as that the conversation is too long
        self._turns.clear()
        self._log.clear()

    def action_settings(self) -> None:
        """Ask for length and temperature."""
        self.app.push_screen(ChatSettingsScreen(self.settings), self._use_settings)

    def action_prompts(self) -> None:
        """Ask every line of prompts.txt, each on its own."""
        if self._is_busy():
            return
        self._waiting = questions_of(self.mqlora.project)
        if not self._waiting:
            problem = _("There is no question in {path}").format(path=self.mqlora.project.prompts_file)
            self.show_error(UserError(problem, _("write one question a line into it")))
        self._ask_next_prompt()

    def _use_settings(self, answer: FormResult[ChatSettings] | None) -> None:
        if answer and answer.values:
            self.settings = answer.values
            self._show_state()
        if answer and answer.then:
            self.call_later(self.app.run_action, answer.then)

    def _ask_next_prompt(self) -> None:
        if self._waiting:
            self._turns.clear()
            if not self._ask(self._waiting.pop(0)):
                self._waiting.clear()

    def _is_busy(self) -> bool:
        """Whether a question is being answered or a run trains, which the user is told."""
        if self.is_replying:
            self.mqlora.show_notice(_("The model is still answering; Esc stops it."))
        elif self.mqlora.training.is_running:
            self._show_wait()
        return self.is_replying or self.mqlora.training.is_running

    def _ask(self, text: str) -> bool:
        """Send a question to the engine; False if that is not possible now."""
        if self._is_busy():
            return False
        self.clear_error()
        self._turns.append({"role": "user", "content": text})
        self._log.add(ChatTurn("user", text))
        self._asked = question = Question(list(self._turns), self.base_beside)
        self._stop = stop = threading.Event()
        engine = self.mqlora.engine
        self.mqlora.hold_model(self._model)
        engine.submit_leavable(
            self._model.answer,
            question,
            self._model_name,
            self.settings,
            lambda: stop.is_set() or engine.stop_event.is_set(),
        )
        self._show_state()
        return True

    async def _turn(self, event: PromptRead | ReplyPiece) -> ChatTurn:
        return await self._log.turn_of("tuned" if event.tuned else "base")

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
        if has_text and (turn.speaker == "tuned" or self._turns[-1]["role"] == "user"):
            self._turns.append({"role": "assistant", "content": turn.text})

    @on(AdapterDoubt)
    def _warn(self, doubt: AdapterDoubt) -> None:
        self.mqlora.show_notice(doubt.text)

    @on(ReplyDone)
    def _finish(self, done: ReplyDone) -> None:
        if done.question is not self._asked or not self.is_attached:
            return
        if done.error:
            self.show_error(done.error)
            self._log.last.end(_("not answered"))
            self.query_one(Prompt).offer(done.question.turns[-1]["content"])  # to be asked again
            self._waiting.clear()
        self._end_reply()
        self._ask_next_prompt()

    def _end_reply(self) -> None:
        self._asked = None
        if self._turns and self._turns[-1]["role"] == "user":
            self._turns.pop()  # an unanswered question would break the alternation of turns
        self._show_state()

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

    def _show_state(self) -> None:
        self.refresh_bindings()
        how = (self.settings, self.base_beside, self.is_replying)
        self.query_one(ChatState).show_state(self.project, self._model_name, *how)
